"""Files of trajectories and the parts made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from eqcli.data.particles import PreparedParticles, load_particles, save_particles
from eqcli.data.prepare_particles import make_particles
from eqcli.data.trajectories import read_trajectories
from eqcli.errors import InputError
from eqcli.recipe.dynamics import ParticleDataSection

S, T, N, D = 12, 4, 3, 2
Arrays = dict[str, Any]


def arrays(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "positions": rng.normal(size=(S, T, N, D)),
        "velocities": rng.normal(size=(S, T, N, D)),
        "charges": rng.choice([-1.0, 1.0], size=(S, N)),
        "features": rng.normal(size=(S, N, 2)),
    }


def write(path: Path, content: Arrays) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        with h5py.File(path, "w") as file:
            for name, array in content.items():
                file[name] = array
    return path


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5", "a.npz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    content = arrays()
    part = read_trajectories(write(tmp_path / name, content)).pairs(1, 3)
    np.testing.assert_array_equal(part.positions, content["positions"][:, 1])
    np.testing.assert_array_equal(part.velocities, content["velocities"][:, 1])
    np.testing.assert_array_equal(part.target, content["positions"][:, 3])
    np.testing.assert_array_equal(part.charges, content["charges"])
    np.testing.assert_array_equal(part.features, content["features"])


def test_charges_and_features_may_be_absent(tmp_path: Path) -> None:
    content = {name: arrays()[name] for name in ("positions", "velocities")}
    part = read_trajectories(write(tmp_path / "a.npz", content)).pairs(0, 1)
    assert part.charges is None
    assert part.features.shape == (S, N, 0)


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda content: {k: v for k, v in content.items() if k != name}


def with_(**changes: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    return lambda content: {**content, **{k: change(content[k]) for k, change in changes.items()}}


def spoilt(array: np.ndarray) -> np.ndarray:
    array[7, 0, 0, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("velocities"), "no velocities in this file; it has charges, features, positions"),
        (with_(positions=lambda a: a[0]), "positions have 3 axes, 4 are expected"),
        (with_(velocities=lambda a: a[:, :2]), "velocities"),
        (with_(positions=spoilt), "positions of system 7 are not finite"),
        (with_(charges=lambda a: a[:5]), "charges are of 5 systems"),
        (with_(features=lambda a: a[:, :2]), "features are of 12 systems and 2 particles"),
        (with_(positions=lambda a: a[:0], velocities=lambda a: a[:0]), "nothing in them"),
        (with_(positions=lambda a: a.astype(str)), "positions are no real numbers"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, change: Callable[[Arrays], Arrays], said: str) -> None:
    path = write(tmp_path / "bad.npz", change(arrays()))
    with pytest.raises(InputError, match=said) as caught:
        read_trajectories(path)
    assert caught.value.where.file == path


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.h5", "a.npz", "a.xyz"):
        (tmp_path / name).write_text("nothing of the kind")
        with pytest.raises(InputError):
            read_trajectories(tmp_path / name)
    np.savez(tmp_path / "code.npz", positions=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="cannot be read"):
        read_trajectories(tmp_path / "code.npz")


def section(path: Path, **changes: Any) -> ParticleDataSection:
    return ParticleDataSection.model_validate({"train": str(path), "from_frame": 0, "to_frame": 2, **changes})


def test_parts_are_drawn_from_one_file(tmp_path: Path) -> None:
    content = arrays()
    path = write(tmp_path / "a.h5", content)
    parts = make_particles(section(path, split={"valid": 3, "test": 0.25}), seed=5)
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "valid": 3, "test": 3}
    rows = np.concatenate([part.positions for part in parts.values()])
    assert len(np.unique(rows.reshape(S, -1), axis=0)) == S
    again = make_particles(section(path, split={"valid": 3, "test": 0.25}), seed=5)
    np.testing.assert_array_equal(again["test"].target, parts["test"].target)
    other = make_particles(section(path, split={"valid": 3, "test": 0.25}), seed=6)
    assert not np.array_equal(other["test"].target, parts["test"].target)


def test_parts_that_cannot_be_had(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", arrays())
    other = write(tmp_path / "b.h5", without("charges")(arrays()))
    with pytest.raises(InputError, match="without charges"):
        make_particles(section(path, valid=str(other)), seed=0)
    with pytest.raises(InputError, match="nothing is left"):
        make_particles(section(path, split={"valid": 12}), seed=0)
    with pytest.raises(InputError, match="no validation systems"):
        make_particles(section(path, split={"valid": 0}), seed=0)
    with pytest.raises(InputError, match="4 frames"):
        make_particles(section(path, to_frame=4), seed=0)


def test_simulated_parts_differ_and_repeat() -> None:
    given = ParticleDataSection.model_validate(
        {"system": "charged-particles", "particles": 3, "train": 4, "valid": 4, "seed": 2, "to_frame": 1}
    )
    parts = make_particles(given, seed=0)
    assert set(parts) == {"train", "valid"}
    assert not np.allclose(parts["train"].positions, parts["valid"].positions)
    np.testing.assert_array_equal(make_particles(given, seed=9)["valid"].target, parts["valid"].target)


def test_stored_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", without("charges")(arrays()))
    parts = make_particles(section(path), seed=0)
    prepared = PreparedParticles(parts, {"seed": 0}, [{"path": "a", "sha256": "b"}])
    assert load_particles(tmp_path / "p.h5") is None
    save_particles(tmp_path / "p.h5", prepared, {})
    found = load_particles(tmp_path / "p.h5")
    assert found is not None
    assert (found.settings, found.inputs) == (prepared.settings, prepared.inputs)
    for name, part in parts.items():
        np.testing.assert_array_equal(found.parts[name].target, part.target)
        assert found.parts[name].charges is None
    (tmp_path / "p.h5").write_bytes((tmp_path / "p.h5").read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        load_particles(tmp_path / "p.h5")
