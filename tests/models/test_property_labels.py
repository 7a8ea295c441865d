"""Labels of properties in structures: shapes, units, names, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eqcli.errors import InputError, Where
from eqcli.io.structure import Structure
from eqcli.models.potentials.configs.common import HeadConfig
from eqcli.models.potentials.properties import Property

DEBYE = 0.20819433270935603
"""e·Å, from CODATA 2018: 1e-21 / c / e / 1e-10."""


def head(name: str, **options: Any) -> Property:
    return Property(name, HeadConfig.model_validate(options))


def water(info: dict[str, Any] | None = None, arrays: dict[str, Any] | None = None, period: float = 0) -> Structure:
    return Structure(
        np.array([8, 1, 1]),
        np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        np.eye(3) * period,
        np.full(3, period > 0),
        info=info or {},
        arrays=arrays or {},
        where=Where("water.xyz", 4, 31),
    )


def test_a_dipole_in_debye_becomes_e_angstrom() -> None:
    dipole = head("dipole", kind="dipole", unit="Debye", entry="mu")
    found = dipole.label(water({"mu": [1.0, 0.0, -2.0]}))
    assert dipole.unit == "e*Angstrom"
    np.testing.assert_allclose(found, np.array([1.0, 0.0, -2.0]) * DEBYE, rtol=1e-12)
    assert dipole.label(water({"dipole": [1.0, 0.0, 0.0]})) is None


def test_a_unit_that_is_not_known_is_kept() -> None:
    shift = head("shift", kind="scalar", unit="ppm")
    assert shift.unit == "ppm"
    assert shift.label(water({"shift": 3})) == 3.0


@pytest.mark.parametrize(
    "given",
    [
        [1.0, 6.0, 5.0, 6.0, 2.0, 4.0, 5.0, 4.0, 3.0],
        [[1.0, 6, 5], [6, 2, 4], [5, 4, 3]],
        [1, 2, 3, 4, 5, 6],
        "1 2 3 4 5 6",
        "[[1 6 5]\n [6 2 4]\n [5 4 3]]",
    ],
)
def test_tensors_of_six_and_nine_numbers(given: Any) -> None:
    alpha = head("alpha", kind="tensor")
    expected = [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    np.testing.assert_array_equal(alpha.label(water({"alpha": given})), expected)


def test_labels_of_atoms_stand_in_arrays_and_as_lists_in_info() -> None:
    shielding = head("shielding", kind="atom-scalar")
    for structure in (water(arrays={"shielding": np.arange(3)}), water({"shielding": [0, 1, 2]})):
        np.testing.assert_array_equal(shielding.label(structure), [0.0, 1.0, 2.0])
    field = head("field", kind="atom-vector")
    assert field.label(water(arrays={"field": np.ones((3, 3))})).shape == (3, 3)  # type: ignore[union-attr]


def test_charges_of_ase_are_found() -> None:
    values = np.array([-0.6, 0.3, 0.3])
    np.testing.assert_array_equal(head("charges", kind="charges").label(water(arrays={"charge": values})), values)
    assert head("charges", kind="charges", entry="q").label(water(arrays={"charge": values})) is None


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ({"kind": "dipole"}, [1.0, 2.0], "'x' is 2; the dipole 'x' is 3"),
        ({"kind": "scalar"}, [1.0, 2.0], "'x' is 2; the scalar 'x' is one number"),
        ({"kind": "vector"}, 1.0, "'x' is one number; the vector 'x' is 3"),
        ({"kind": "tensor"}, [*np.zeros((2, 3)).tolist(), [0.0, 0.0]], "not a number"),
        ({"kind": "tensor"}, [1, 2, 0, 0, 1, 0, 0, 0, 1], "not symmetric"),
        ({"kind": "scalar"}, float("nan"), "NaN"),
        ({"kind": "scalar"}, "high", "not a number: 'high'"),
        ({"kind": "scalar"}, True, "not a number"),
        ({"kind": "atom-scalar"}, [1.0, 2.0], "'x' is 2; the atom-scalar 'x' is 3"),
        ({"kind": "atom-vector"}, np.zeros((3, 2)), "'x' is 3 x 2; the atom-vector 'x' is 3 x 3"),
        ({"kind": "dipole"}, [], "empty"),
    ],
)
def test_wrong_labels_name_file_frame_and_entry(options: dict[str, Any], value: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"water\.xyz") as caught:
        head("x", **options).label(water({"x": value}))
    assert message in caught.value.message
    assert (caught.value.where.frame, caught.value.where.key) == (4, "x")


def test_a_transposed_array_of_atoms_is_refused() -> None:
    structure = Structure(np.array([1, 1]), np.zeros((2, 3)), arrays={}, info={"field": np.zeros((3, 2)).tolist()})
    with pytest.raises(InputError, match="3 x 2"):
        head("field", kind="atom-vector").label(structure)


def test_a_dipole_of_a_crystal_is_no_label() -> None:
    dipole = head("dipole", kind="dipole")
    crystal = water({"dipole": [1.0, 2.0, 3.0]}, period=9.0)
    assert dipole.stated(crystal)
    assert not dipole.defined(crystal)
    assert dipole.label(crystal) is None


def test_predictions_replace_labels_and_keep_them() -> None:
    alpha, charges = head("alpha", kind="tensor"), head("charges", kind="charges")
    structure = water({"alpha": [1, 2, 3, 0, 0, 0]}, {"charge": np.array([-0.6, 0.3, 0.3])})
    alpha.put(np.arange(9.0).reshape(3, 3), structure)
    charges.put(np.array([-0.5, 0.25, 0.25]), structure)
    assert structure.info == {"alpha": list(range(9)), "REF_alpha": [1, 2, 3, 0, 0, 0]}
    assert set(structure.arrays) == {"charges", "REF_charges"}
    np.testing.assert_array_equal(alpha.label(structure, reference=True), np.diag([1.0, 2, 3]))
    np.testing.assert_array_equal(charges.label(structure, reference=True), [-0.6, 0.3, 0.3])
    np.testing.assert_array_equal(alpha.predicted(structure), np.arange(9.0).reshape(3, 3))


@pytest.mark.parametrize("name", ["energy", "positions", "charge", "free_energy", "a b", "a:b"])
def test_names_that_mean_something_else(name: str) -> None:
    from eqcli.models.potentials.configs.mace import MACEConfig

    with pytest.raises(ValueError, match=r"cannot be called|no name"):
        MACEConfig.model_validate({"name": "mace", "heads": {name: {"kind": "scalar"}}})
