"""Guests: calculators of other packages give what they give alone, and fail one structure at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from eqcli.engine.guest import GuestPotential, members, open_guest
from eqcli.engine.guest_name import GuestName, is_guest, version_facts
from eqcli.engine.predictor import Predictor
from eqcli.errors import InputError
from eqcli.files import sha256
from eqcli.graph.atom_graph import batch_graphs, build_graph
from eqcli.io.structure import Structure
from eqcli.models.potentials.derive import evaluate
from tests.listener import Listener
from tests.toy_model import register_toy, save_toy, toy_model

LJ = "ase:ase.calculators.lj:LennardJones"

MODULE = '''
import os
import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Base(Calculator):
    """Springs from every atom to the origin, on top of what subclasses add."""

    implemented_properties = ["energy", "forces"]
    default_parameters = {"k": 1.0}

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": 0.5 * self.parameters.k * (x**2).sum(), "forces": -self.parameters.k * x}


class EnergyOnly(Base):
    implemented_properties = ["energy"]


class NoEnergy(Base):
    implemented_properties = ["dipole"]


class Partial(Base):
    """Energies of atoms that leave out half of the energy."""

    implemented_properties = ["energy", "forces", "energies"]

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energies"] = 0.25 * self.parameters.k * (self.atoms.positions**2).sum(axis=1)


class NoHelium(Base):
    def calculate(self, atoms=None, *args, **kwargs):
        if 2 in atoms.numbers:
            raise KeyError("He")
        super().calculate(atoms, *args, **kwargs)


class Charged(NoHelium):
    """The charge and the unpaired electrons add to the energy."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] += 10 * self.atoms.get_initial_charges().sum()
        self.results["energy"] += 100 * self.atoms.get_initial_magnetic_moments().sum()


class Remembers(Base):
    """What was computed before changes the energy, unless it is reset."""

    last = 0.0

    def reset(self):
        super().reset()
        self.last = 0.0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] += self.last
        self.last = 1.0


class Prints(Base):
    def __init__(self, **kwargs):
        print("made")
        super().__init__(**kwargs)

    def calculate(self, *args, **kwargs):
        print("computed")
        os.write(1, b"from below")
        super().calculate(*args, **kwargs)


class OnDevice(Base):
    def __init__(self, device="nowhere", **kwargs):
        super().__init__(**kwargs)
        self.device = device


def made_by_function(stiffness):
    return Base(k=stiffness)


def raises():
    raise RuntimeError("no weights\\nwere found")


number = 5
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of calculators in the current folder."""
    name = f"guests_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(dedent(MODULE), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


def guest(text: str, **arguments) -> GuestPotential:
    potential = open_guest(text, arguments, report=Listener()).potential
    assert isinstance(potential, GuestPotential)
    return potential


def cluster(n: int = 3, seed: int = 0, element: int = 18, **fields) -> Structure:
    rng = np.random.default_rng(seed)
    positions = 3.8 * np.eye(3)[np.arange(n) % 3] * (1 + np.arange(n) // 3)[:, None] + rng.normal(size=(n, 3)) * 0.1
    return Structure(np.full(n, element), positions, **fields)


def crystal(seed: int = 0) -> Structure:
    cell = 4.2 * np.eye(3) + np.random.default_rng(seed).normal(size=(3, 3)) * 0.2
    return Structure(np.array([18, 18]), np.array([[0, 0, 0], [0.5, 0.5, 0.45]]) @ cell, cell, np.ones(3, bool))


def graph_of(structure: Structure):
    s = structure
    return build_graph(s.numbers, s.positions, s.cell, s.pbc, 2.0, charge=s.charge, spin=s.spin)


@pytest.mark.parametrize(
    "text", ["ase:m", "ase:m:", "ase::C", "ase:a b:C", "ase:m:C:d", "ase:a..b:C", "m:C", "ase:m:1"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="ase:module:Class"):
        GuestName.parse(text)


def test_names() -> None:
    assert is_guest("ase:a.b:C")
    assert not is_guest("runs/ase/model.safetensors")
    assert str(GuestName.parse("ase:a.b:C")) == "ase:a.b:C"
    assert GuestName.parse(Path("ase:a.b:C")) == GuestName("a.b", "C")


def test_what_cannot_be_imported_is_told(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}_needy.py").write_text("import no_such_dependency\n", encoding="utf-8")
    (tmp_path / f"{module}_broken.py").write_text("1 / 0\n", encoding="utf-8")
    cases = {
        "ase:no_such_module.x:C": ("no Python module 'no_such_module", "pip install no_such_module"),
        "ase:ase.calculators.nothing:C": ("no Python module 'ase.calculators.nothing'", "is installed"),
        f"ase:{module}_needy:C": (f"'no_such_dependency', which {module}_needy needs", "pip install"),
        f"ase:{module}_broken:C": ("cannot be imported: ZeroDivisionError", ""),
        f"ase:{module}:EnergyOnyl": ("no class or function 'EnergyOnyl'", "'EnergyOnly'"),
        f"ase:{module}:number": ("no class or function 'number'", ""),
        f"ase:{module}:raises": ("could not be made: RuntimeError: no weights were found", "--model-arg"),
        f"ase:{module}:made_by_function": ("missing 1 required positional argument: 'stiffness'", "--model-arg"),
        f"ase:{module}:NoEnergy": ("gives no energy, but dipole", ""),
        "ase:collections:Counter": ("type Counter, which is no ASE calculator", ""),
    }
    before = list(sys.path)
    for text, (message, hint) in cases.items():
        with pytest.raises(InputError) as found:
            open_guest(text, {}, report=Listener())
        assert message in found.value.message, text
        assert hint in found.value.hint, text
        assert str(found.value.where.file) == text
    assert sys.path == before


def test_arguments_are_passed_on(module: str) -> None:
    one = cluster()
    for text, arguments in ((f"ase:{module}:Base", {"k": 3.0}), (f"ase:{module}:made_by_function", {"stiffness": 3.0})):
        found = evaluate(guest(text, **arguments), graph_of(one))
        assert float(found["energy"]) == pytest.approx(1.5 * (one.positions**2).sum(), rel=1e-14)


def test_arguments_that_a_calculator_does_not_know_are_told() -> None:
    told = Listener()
    open_guest(LJ, {"sigm": 3.0, "rc": 9.0}, report=told)
    (warning,) = told.warnings
    assert "'sigm'" in warning
    assert "'sigma'" in warning


def test_two_atoms_have_the_energy_of_the_formula() -> None:
    r = 3.7
    dimer = Structure(np.array([18, 18]), np.array([[0, 0, 0], [r, 0, 0]]))
    found = evaluate(guest(LJ, epsilon=0.0104, sigma=3.4, rc=12.0), graph_of(dimer))
    well = [4 * 0.0104 * ((3.4 / d) ** 12 - (3.4 / d) ** 6) for d in (r, 12.0)]
    assert float(found["energy"]) == pytest.approx(well[0] - well[1], rel=1e-12)
    slope = 4 * 0.0104 * (-12 * (3.4 / r) ** 12 + 6 * (3.4 / r) ** 6) / r
    np.testing.assert_allclose(found["forces"], [[slope, 0, 0], [-slope, 0, 0]], atol=1e-14)


def test_forces_and_stress_are_those_of_the_calculator_in_our_sign() -> None:
    """Differences of the energy tell the sign, whatever ASE calls it."""
    potential, one = guest(LJ, epsilon=0.0104, sigma=3.4, rc=8.0, smooth=True), crystal()
    found = evaluate(potential, graph_of(one), stress=True)

    def energy(strain: np.ndarray) -> float:
        deform = np.eye(3) + strain
        moved = Structure(one.numbers, one.positions @ deform, one.cell @ deform, one.pbc)
        return float(evaluate(potential, graph_of(moved))["energy"])

    for a, b in ((0, 0), (1, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5e-4
        strain[b, a] += 0.5e-4
        slope = (energy(strain) - energy(-strain)) / 2e-4 / one.volume
        assert float(found["stress"][0, a, b]) == pytest.approx(slope, abs=1e-8)
    assert float(found["virial"][0, 1, 2]) == pytest.approx(-one.volume * float(found["stress"][0, 1, 2]), rel=1e-12)


def test_a_batch_is_its_members() -> None:
    potential = guest(LJ, epsilon=0.0104, sigma=3.4)
    several = [cluster(4), crystal(), cluster(1), crystal(1)]
    together = evaluate(potential, batch_graphs([graph_of(one) for one in several]), stress=True)
    start = 0
    for k, one in enumerate(several):
        alone = evaluate(potential, graph_of(one), stress=True)
        rows = slice(start, start + len(one))
        start += len(one)
        np.testing.assert_array_equal(together["energy"][k], alone["energy"][0])
        np.testing.assert_array_equal(together["forces"][rows], alone["forces"])
        np.testing.assert_array_equal(together["stress"][k], alone["stress"][0])
        assert bool(alone["stress"].isnan().all()) is not bool(one.pbc.all())


def test_one_of_our_own_models_as_a_guest_gives_what_it_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that differentiates in torch itself can do so."""
    register_toy(monkeypatch)
    file = save_toy(tmp_path / "toy.safetensors")
    visitor = open_guest("ase:eqcli:calculator", {"model": str(file)}, device="cpu", report=Listener())
    assert visitor.header["guest"]["arguments"]["device"] == "cpu"
    structures = [
        cluster(5, element=6),
        Structure(np.array([6, 8]), crystal().positions, crystal().cell, np.ones(3, bool)),
    ]
    own, foreign = (list(Predictor(model).predict(structures)) for model in (toy_model(), visitor))
    for a, b in zip(own, foreign, strict=True):
        assert b.energy == pytest.approx(a.energy, rel=1e-14)
        np.testing.assert_allclose(b.forces, a.forces, atol=1e-13)
        np.testing.assert_allclose(b.arrays["atomic_energies"], a.arrays["atomic_energies"], rtol=1e-12)
    np.testing.assert_allclose(foreign[1].stress, own[1].stress, atol=1e-13)
    assert np.abs(own[1].stress).max() > 1e-3


@pytest.mark.parametrize("name", ["Base", "Partial"])
def test_energies_of_atoms_add_up_whatever_the_calculator_gives(module: str, name: str) -> None:
    told, one = Listener(), cluster()
    potential = open_guest(f"ase:{module}:{name}", {}, report=told).potential
    found = evaluate(potential, graph_of(one))
    parts, whole = found["atomic_energies"].numpy(), 0.5 * (one.positions**2).sum()
    assert float(found["energy"]) == pytest.approx(whole, rel=1e-14)
    expected = np.full(3, whole / 3)
    if name == "Partial":
        own = 0.25 * (one.positions**2).sum(axis=1)
        expected = own + (whole - own.sum()) / 3
    np.testing.assert_allclose(parts, expected, rtol=1e-13)
    assert any("shared equally" in text for text in told.messages) is (name == "Base")


def test_without_forces_there_are_energies_alone(module: str) -> None:
    model = open_guest(f"ase:{module}:EnergyOnly", {}, report=Listener())
    assert model.potential.outputs == ("energy",)
    (found,) = Predictor(model).predict([cluster()])
    assert found.forces is None
    assert found.energy == pytest.approx(0.5 * (cluster().positions ** 2).sum(), rel=1e-14)


def test_what_fails_does_not_stop_the_others(module: str) -> None:
    structures = [
        cluster(seed=0),
        cluster(seed=1, element=2),
        cluster(seed=2),
        cluster(seed=3, element=0),
        cluster(seed=4),
    ]
    failures: list = []
    found = list(
        Predictor(open_guest(f"ase:{module}:NoHelium", {}, report=Listener())).predict(structures, failures.append)
    )
    assert [one.energy for one in found] == pytest.approx(
        [0.5 * (structures[k].positions ** 2).sum() for k in (0, 2, 4)]
    )
    assert len(failures) == 2
    assert failures[0].reason == "NoHelium failed: KeyError: 'He'"


def test_a_charge_must_make_a_difference(module: str) -> None:
    heeds, ignores = guest(f"ase:{module}:Charged"), guest(f"ase:{module}:NoHelium")
    neutral = float(evaluate(heeds, graph_of(cluster()))["energy"])
    assert float(evaluate(heeds, graph_of(cluster(charge=-2.0)))["energy"]) == pytest.approx(neutral - 20, rel=1e-12)
    # A failure decides nothing: what comes next is tried again.
    with pytest.raises(InputError, match="KeyError"):
        evaluate(ignores, graph_of(cluster(element=2, charge=1.0)))
    with pytest.raises(InputError, match=r"charge \+1, and NoHelium gives it the energy that it gives without"):
        evaluate(ignores, graph_of(cluster(charge=1.0)))
    assert float(evaluate(ignores, graph_of(cluster(charge=0.0)))["energy"]) == pytest.approx(neutral, rel=1e-12)


def test_charge_and_spin_reach_the_atoms(module: str) -> None:
    charged = cluster(charge=-1.0, info={"spin": 3})
    first, second = members(batch_graphs([graph_of(charged), graph_of(cluster(2))]))
    assert first.info == {"charge": -1, "spin": 3}
    assert first.get_initial_charges().sum() == pytest.approx(-1)
    assert first.get_initial_magnetic_moments().sum() == pytest.approx(2)
    assert second.info == {"charge": 0}
    assert not second.has("initial_charges")
    assert not second.has("initial_magmoms")


def test_no_result_depends_on_the_one_before(module: str) -> None:
    potential = guest(f"ase:{module}:Remembers")
    first, again = (float(evaluate(potential, graph_of(cluster(seed=seed)))["energy"]) for seed in (0, 0))
    other = float(evaluate(potential, graph_of(cluster(seed=1)))["energy"])
    assert first == again == pytest.approx(0.5 * (cluster(seed=0).positions ** 2).sum(), rel=1e-14)
    assert other == pytest.approx(0.5 * (cluster(seed=1).positions ** 2).sum(), rel=1e-14)


def test_what_a_calculator_prints_is_dropped(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    potential = guest(f"ase:{module}:Prints")
    evaluate(potential, graph_of(cluster()))
    os.write(1, b"mine")
    assert capfd.readouterr().out == "mine"


def test_device_and_precision_are_passed_on_or_told(module: str) -> None:
    told = Listener()
    passed = open_guest(f"ase:{module}:OnDevice", {}, device="cpu", precision="float32", report=told)
    assert passed.header["device"] == "cpu"
    assert [("--precision float32 has no effect" in text) for text in told.warnings] == [True]
    told = Listener()
    kept = open_guest(f"ase:{module}:OnDevice", {"device": "mine"}, device="cpu", report=told)
    assert (kept.header["device"], told.warnings) == ("mine", [])
    open_guest(f"ase:{module}:Base", {}, device="cpu", report=told)
    assert ["--device cpu has no effect" in text for text in told.warnings] == [True]
    assert open_guest(f"ase:{module}:OnDevice", {}, report=told).header["device"] == "its own device"


def test_versions_tell_guests_apart(module: str, tmp_path: Path) -> None:
    import ase

    assert version_facts(GuestName.parse(LJ)) == {"package": "ase", "version": ase.__version__}
    name, file = GuestName(module, "Base"), tmp_path / f"{module}.py"
    before = version_facts(name)
    assert before == {"module": module, "sha256": sha256(file)}
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert version_facts(name) != before
    with pytest.raises(InputError, match="no Python module"):
        version_facts(GuestName("no_such_module", "C"))


def test_xtb_gives_what_it_gives_alone() -> None:
    pytest.importorskip("tblite")
    from ase.build import molecule
    from tblite.ase import TBLite

    water = molecule("H2O")
    water.calc = TBLite(method="GFN1-xTB", verbosity=0)
    structure = Structure(water.numbers, water.positions)
    found = evaluate(guest("ase:tblite.ase:TBLite", method="GFN1-xTB"), graph_of(structure))
    assert float(found["energy"]) == pytest.approx(water.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(found["forces"], water.get_forces(), atol=1e-7)
    cation = Structure(water.numbers, water.positions, charge=1.0)
    charged = evaluate(guest("ase:tblite.ase:TBLite", method="GFN1-xTB"), graph_of(cation))
    water.calc = TBLite(method="GFN1-xTB", charge=1, verbosity=0)
    assert float(charged["energy"]) == pytest.approx(water.get_potential_energy(), abs=1e-9)
