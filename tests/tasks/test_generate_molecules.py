"""Generation of molecules from a model file to a file of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.model_file import load_model, save_model
from eqcli.engine.molecule_sampler import MoleculeSampler, MoleculeSettings, MoleculeWish, drawn_atoms
from eqcli.errors import ExitCode, InputError, Where
from eqcli.files import sha256
from eqcli.io import DatasetFile, read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.models.molecules.flow_matching import FlowMatching
from eqcli.progress import Silent
from eqcli.tasks.generate import generate
from eqcli.tasks.generate_chunks import prepare
from eqcli.tasks.generate_molecules import _in_form
from eqcli.tasks.generate_request import GenerationRequest
from tests.listener import Listener
from tests.molecule_case import NETWORKS, SIZES, generator
from tests.molecules import boneless, embedded
from tests.stopping import power_cut
from tests.tasks.generate_case import committed
from tests.tasks.generate_molecules_case import models, scaffolds
from tests.tasks.stream.case import assert_same_columns


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = models(tmp_path_factory.mktemp("models"))
    scaffolds(folder)
    return folder


def read(path: Path) -> list[Structure]:
    return list(read_structures(path))


def assert_same(found: list[Structure], expected: list[Structure]) -> None:
    """Equal to the last bit, with all that is said of them."""
    for one, other in zip(found, expected, strict=True):
        assert one.info == other.info
        assert one.charge == other.charge
        assert one.arrays.keys() == other.arrays.keys()
        for name in one.arrays:
            assert np.array_equal(one.arrays[name], other.arrays[name]), name
        assert np.array_equal(one.numbers, other.numbers)
        assert np.array_equal(one.positions, other.positions)


@pytest.mark.parametrize("name", ["edm", "flow", "steered"])
def test_molecules_as_in_training(files: Path, tmp_path: Path, name: str) -> None:
    """Sizes, elements, bonds and charges that are known; the same in every kind of file."""
    model = files / f"{name}.safetensors"
    result = generate(model, tmp_path / "o.h5", n=40, seed=7, device="cpu")
    made = read(tmp_path / "o.h5")
    assert [s.info["sample"] for s in made] == list(range(40))
    assert {(s.info["seed"], s.info["model"]) for s in made} == {(7, load_model(model).model.config.name)}  # type: ignore[union-attr]
    assert {len(s) for s in made} <= {n for n, count in enumerate(SIZES) if count}
    assert len({len(s) for s in made}) > 2
    assert {int(z) for s in made for z in s.numbers} <= {1, 6, 7, 8}
    assert not any(s.pbc.any() or s.cell.any() for s in made)
    assert all(np.abs(s.positions.mean(axis=0)).max() < 1e-5 for s in made)
    assert all(("bonds" in s.info) == (name != "edm") for s in made)
    for one in made:
        assert all(0 <= i < j < len(one) and order in (1, 2, 3) for i, j, order in one.info.get("bonds", []))
        assert one.charge == float(one.arrays.get("formal_charge", np.zeros(1)).sum())
        assert "formal_charge" not in one.arrays or one.arrays["formal_charge"].any()
    assert (result.structures, result.wanted, result.exit_code) == (40, 40, ExitCode.OK)
    assert result.calls == 4 + (name == "edm")
    assert not list(tmp_path.glob("*.work"))
    generate(model, tmp_path / "o.sdf", n=40, seed=7, device="cpu")
    for one, other in zip(read(tmp_path / "o.sdf"), made, strict=True):
        assert one.numbers.tolist() == other.numbers.tolist()
        np.testing.assert_allclose(one.positions, other.positions, atol=6e-5)
        assert one.info.get("bonds", []) == other.info.get("bonds", [])
        assert one.arrays.get("formal_charge", np.zeros(1)).tolist() == (
            other.arrays.get("formal_charge", np.zeros(1)).tolist()
        )
        assert int(one.info["sample"]) == other.info["sample"]


def test_a_seed_and_a_number_make_a_molecule(files: Path, tmp_path: Path) -> None:
    """Not how many are asked for, nor how many are computed at once."""
    model = files / "flow.safetensors"
    generate(model, tmp_path / "a.h5", n=30, seed=3, device="cpu")
    generate(model, tmp_path / "b.h5", n=30, seed=3, device="cpu")
    assert_same(read(tmp_path / "b.h5"), read(tmp_path / "a.h5"))
    generate(model, tmp_path / "few.h5", n=9, seed=3, batch_atoms=6, device="cpu")
    for one, other in zip(read(tmp_path / "few.h5"), read(tmp_path / "a.h5"), strict=False):
        assert one.numbers.tolist() == other.numbers.tolist()
        assert one.info.get("bonds") == other.info.get("bonds")
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-3)
    generate(model, tmp_path / "other.h5", n=30, seed=2**64 - 1, device="cpu")
    other = read(tmp_path / "other.h5")
    assert any(len(a) != len(b) for a, b in zip(other, read(tmp_path / "a.h5"), strict=True))


def test_sizes_that_are_asked_for(files: Path, tmp_path: Path) -> None:
    listener = Listener()
    generate(files / "flow.safetensors", tmp_path / "o.h5", n=3, atoms=11, device="cpu", report=listener)
    assert {len(s) for s in read(tmp_path / "o.h5")} == {11}
    assert any("molecules of 11 atoms" in text for text in listener.warnings)
    generate(files / "edm.safetensors", tmp_path / "one.h5", n=3, atoms=1, device="cpu")
    assert all(np.abs(s.positions).max() < 1e-6 for s in read(tmp_path / "one.h5"))


def test_drawn_sizes_are_as_frequent_as_in_training() -> None:
    model = generator({"name": "edm", "denoiser": NETWORKS["egnn"]})
    found = np.bincount(drawn_atoms(model, 0, range(6000)), minlength=len(SIZES)) / 6000
    np.testing.assert_allclose(found, np.array(SIZES) / sum(SIZES), atol=0.025)
    large = drawn_atoms(model, 0, range(500), least=4)
    assert set(large) == {4, 5}
    # Larger than any: the scaffold and some more.
    assert set(drawn_atoms(model, 0, range(5), least=9)) == {9 + 5 - int(model.typical_size)}
    assert drawn_atoms(model, 0, [7, 3]) == [drawn_atoms(model, 0, range(8))[i] for i in (7, 3)]


@pytest.mark.parametrize("steps", [1, 9, 40])
def test_steps_and_settings(files: Path, tmp_path: Path, steps: int) -> None:
    result = generate(
        files / "steered.safetensors", tmp_path / "o.h5", steps=steps, sampling={"eta": 0.5}, device="cpu"
    )
    assert result.calls == steps
    with DatasetFile(tmp_path / "o.h5") as file:
        facts = file.provenance
    assert facts["generation"]["sampling"].items() >= {"steps": steps, "eta": 0.5, "temperature": 1.0}.items()
    assert facts["generation"]["condition"] == {}
    assert facts["model"]["sha256"] == sha256(files / "steered.safetensors")


def test_properties_steer(files: Path, tmp_path: Path) -> None:
    """And are written; without guidance they make no difference."""

    def made(name: str, **options: Any) -> list[Structure]:
        generate(files / "steered.safetensors", tmp_path / f"{name}.h5", n=5, atoms=5, device="cpu", **options)
        return read(tmp_path / f"{name}.h5")

    free = made("free")
    low, high = made("low", condition={"gap": -4.0}), made("high", condition={"gap": 4.0, "dipole": 1.0})
    ignored, more = made("no", condition={"gap": 4.0}, guidance=0.0), made("more", condition={"gap": 4.0}, guidance=3.0)
    assert {s.info["wanted_gap"] for s in high} == {4.0}
    assert {s.info["wanted_dipole"] for s in high} == {1.0}
    assert not any(name.startswith("wanted") for s in free for name in s.info)
    for one, other in ((low, free), (low, high), (more, high)):
        assert any(not np.allclose(a.positions, b.positions, atol=1e-4) for a, b in zip(one, other, strict=True))
    for one, other in zip(ignored, free, strict=True):
        assert np.array_equal(one.positions, other.positions)


@pytest.mark.parametrize("name", ["edm", "flow", "steered"])
def test_scaffolds_come_back_where_they_were(files: Path, tmp_path: Path, name: str) -> None:
    """Their heavy atoms to the last digit, with bonds and charges; what cannot be completed is named."""
    far = [replace(s, positions=s.positions + 1000.0) for s in read(files / "cores.sdf")]
    write_structures(tmp_path / "cores.h5", far)
    result = generate(
        files / f"{name}.safetensors", tmp_path / "o.h5", scaffold=tmp_path / "cores.h5", n=3, device="cpu"
    )
    made = read(tmp_path / "o.h5")
    assert [s.info["sample"] for s in made] == list(range(6))
    assert all(len(s) > 2 for s in made)
    for number, one in enumerate(made):
        core = far[number // 3]
        given = one.arrays["scaffold"].astype(bool)
        assert given.tolist() == [True, True] + [False] * (len(one) - 2)
        assert np.array_equal(one.positions[given], core.positions[:2])
        assert one.numbers[given].tolist() == core.numbers[:2].tolist()
        assert np.linalg.norm(one.positions - core.positions[0], axis=1).max() < 50.0
        if name != "edm":
            assert [b for b in one.info["bonds"] if b[1] < 2] == [[0, 1, 2 if number < 3 else 1]]
            charges = one.arrays.get("formal_charge", np.zeros(len(one)))
            assert charges[:2].tolist() == [0, 0 if number < 3 else 1]
    assert len({one.positions[2:].tobytes() for one in made}) == 6
    reasons = " ".join(failure.reason for failure in result.failures)
    assert len(result.failures) == 2
    assert "not trained on F" in reasons
    assert "no heavy atoms" in reasons
    assert result.exit_code is ExitCode.PARTIAL


def test_few_scaffolds_and_all_their_atoms(files: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scaffold": files / "cores.sdf", "n": 2, "limit": 1, "device": "cpu"}
    result = generate(files / "flow.safetensors", tmp_path / "o.h5", atoms=3, **options)
    assert [len(s) for s in read(tmp_path / "o.h5")] == [3, 3]
    assert result.failures == []
    with DatasetFile(tmp_path / "o.h5") as file:
        named = file.provenance["generation"]["scaffold"]
    assert named == {"name": "cores.sdf", "sha256": sha256(files / "cores.sdf")}


def test_hands_of_scaffolds(files: Path, tmp_path: Path) -> None:
    """A chiral scaffold and its mirror image keep their hands, and so do those beside them in a batch."""
    core = embedded("C[C@H](O)N")
    mirrored = replace(core, positions=core.positions * np.array([1.0, 1.0, -1.0]))
    write_structures(tmp_path / "cores.h5", [core, mirrored])
    generate(files / "flow.safetensors", tmp_path / "o.h5", scaffold=tmp_path / "cores.h5", n=2, device="cpu")
    hands = [np.sign(np.linalg.det(s.positions[1:4] - s.positions[0])) for s in read(tmp_path / "o.h5")]
    wanted = np.sign(np.linalg.det(core.positions[1:4] - core.positions[0]))
    assert hands == [wanted, wanted, -wanted, -wanted]


def scaffold_file(folder: Path, structure: Structure) -> Path:
    write_structures(folder / "core.h5", [structure])
    return folder / "core.h5"


REFUSED: list[tuple[str, Callable[[], Structure], dict[str, Any], str]] = [
    ("flow", lambda: boneless(embedded("CC")), {}, "states none"),
    ("flow", lambda: embedded("CF"), {}, "not trained on F"),
    ("flow", lambda: embedded("[H][H]"), {}, "no heavy atoms"),
    ("flow", lambda: embedded("C=O"), {"atoms": 2}, "2 heavy atoms"),
    ("flow", lambda: replace(embedded("CO"), arrays={"formal_charge": np.array([0, -2, 0, 0, 0, 0])}), {}, "charge -2"),
    ("flow", lambda: replace(embedded("CC"), pbc=np.ones(3, dtype=bool), cell=9 * np.eye(3)), {}, "periodic"),
    ("flow", lambda: replace(embedded("CO"), info={"bonds": [[0, 1, 4]]}), {}, "order 4"),
]


@pytest.mark.parametrize(("model", "core", "options", "said"), REFUSED, ids=[case[3] for case in REFUSED])
def test_scaffolds_that_cannot_be_completed(
    files: Path, tmp_path: Path, model: str, core: Callable[[], Structure], options: dict[str, Any], said: str
) -> None:
    path = scaffold_file(tmp_path, core())
    with pytest.raises(InputError, match="no molecule of this file can be completed") as caught:
        generate(files / f"{model}.safetensors", tmp_path / "o.h5", scaffold=path, device="cpu", **options)
    assert said in (caught.value.hint or "")
    assert [p.name for p in tmp_path.iterdir()] == ["core.h5"]


def test_models_without_bonds_take_scaffolds_without_bonds(files: Path, tmp_path: Path) -> None:
    path = scaffold_file(tmp_path, boneless(embedded("CC")))
    assert generate(files / "edm.safetensors", tmp_path / "o.h5", scaffold=path, device="cpu").structures == 1


def test_aromatic_scaffolds_for_models_of_single_and_double_bonds(files: Path, tmp_path: Path) -> None:
    furan = embedded("c1ccoc1")
    aromatic = [[i, j, 1.5 if max(i, j) < 5 else o] for i, j, o in furan.info["bonds"]]
    path = scaffold_file(tmp_path, replace(furan, info={"bonds": aromatic}))
    generate(files / "flow.safetensors", tmp_path / "o.h5", scaffold=path, device="cpu")
    orders = sorted(o for i, j, o in read(tmp_path / "o.h5")[0].info["bonds"] if max(i, j) < 5)
    assert orders == [1, 1, 1, 2, 2]


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("flow", {"formula": "CH4"}, "--formula.*crystals"),
    ("flow", {"system": "C-H"}, "--system.*crystals"),
    ("flow", {"value": 1.0}, "--value.*crystals"),
    ("flow", {"refine": Path("cores.sdf")}, "--refine.*crystals"),
    ("flow", {"composition_of": Path("cores.sdf")}, "--composition-of.*crystals"),
    ("flow", {"condition": {"gap": 1.0}}, "does not know"),
    ("steered", {"condition": {"gapp": 1.0}}, "gapp"),
    ("steered", {"condition": {"gap": float("nan")}}, "expected a number"),
    ("steered", {"guidance": float("inf")}, "--guidance"),
    ("flow", {"n": 0}, "at least 1"),
    ("flow", {"atoms": 0}, "at least 1"),
    ("flow", {"limit": 2}, "--limit"),
    ("flow", {"steps": 0}, "steps"),
    ("flow", {"sampling": {"eta": 1.0}}, "no sampling setting 'eta'"),
    ("steered", {"sampling": {"eta": 1.5}}, "eta"),
    ("flow", {"scaffold": Path("absent.sdf")}, "no such file"),
    ("flow", {"precision": "float16"}, "precision"),
]


@pytest.mark.parametrize(("model", "options", "message"), MISTAKES, ids=[str(case[1]) for case in MISTAKES])
def test_mistakes(files: Path, tmp_path: Path, model: str, options: dict[str, Any], message: str) -> None:
    """Nothing is left behind by them."""
    whole = {k: files / v if isinstance(v, Path) else v for k, v in options.items()}
    with pytest.raises(InputError, match=message):
        generate(files / f"{model}.safetensors", tmp_path / "o.h5", device="cpu", **whole)
    assert list(tmp_path.iterdir()) == []


OPTIONS: dict[str, Any] = {"n": 24, "seed": 5, "batch_atoms": 12, "device": "cpu"}


@pytest.mark.parametrize("scaffold", [False, True])
@pytest.mark.parametrize("fail", [1, 4, 7])
def test_stopped_and_continued(files: Path, tmp_path: Path, scaffold: bool, fail: int) -> None:
    """Wherever it was stopped, the file at the end is the one of a generation that was not."""
    model = files / "flow.safetensors"
    options = {**OPTIONS, **({"scaffold": files / "cores.sdf", "n": 12} if scaffold else {})}
    whole = generate(model, tmp_path / "whole.h5", **options)
    assert whole.structures == 24
    with power_cut(FlowMatching, "sample", fail):
        generate(model, tmp_path / "o.h5", **options)
    assert not (tmp_path / "o.h5").exists()
    work = tmp_path / "o.h5.work"
    done = committed(work)
    assert done < 24
    assert (done > 0) == (fail > 1) == work.exists()
    if done:
        for changes in ({"seed": 6}, {"n": 99}, {"steps": 5}, {"atoms": 5}, {"guidance": 2.0}):
            with pytest.raises(InputError, match=f"asked for with another {next(iter(changes))}"):
                generate(model, tmp_path / "o.h5", resume=True, **{**options, **changes})
        with pytest.raises(InputError, match="unfinished"):
            generate(model, tmp_path / "o.h5", **options)
    result = generate(model, tmp_path / "o.h5", resume=True, **options)
    assert (result.resumed, result.structures) == (done, 24)
    assert len(result.failures) == len(whole.failures)
    assert_same_columns(tmp_path / "o.h5", tmp_path / "whole.h5")
    assert not work.exists()


@pytest.mark.parametrize("options", [{"n": 9}, {"n": 3, "scaffold": True}, {"n": 3, "scaffold": True, "atoms": 7}])
def test_any_wish_without_the_others(files: Path, options: dict[str, Any]) -> None:
    given = {**options, **({"scaffold": files / "cores.sdf"} if "scaffold" in options else {})}
    loaded = load_model(files / "flow.safetensors")
    wishes = prepare(loaded, GenerationRequest(**given), [], Silent()).wishes
    every = wishes.of(range(len(wishes)))
    assert [wish.sample for wish in every] == list(range(9 if "scaffold" not in options else 6))
    for one in wishes.of([1, 2, 4, 5]):
        same = every[one.sample]
        assert (one.sample, one.atoms) == (same.sample, same.atoms)
        assert (one.scaffold is None) == ("scaffold" not in options)
        if one.scaffold is not None:
            assert np.array_equal(one.scaffold.positions, same.scaffold.positions)
            assert one.atoms > len(one.scaffold)


def test_molecules_that_are_none_are_failures(tmp_path: Path) -> None:
    """Positions that are no numbers, of some molecules: they are named."""
    model = generator({"name": "edm", "timesteps": 10, "denoiser": NETWORKS["egnn"]})
    plain = type(model).sample

    def sampler() -> MoleculeSampler:
        return MoleculeSampler(model, MoleculeSettings(0, model.config.sampling, batch_atoms=12))

    def broken(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        made = plain(self, request, *args, **kwargs)
        positions = made.molecules.positions.clone()
        positions[request.counts == 3, 0] = torch.nan
        positions[request.counts == 4, 0] = 3e3
        return replace(made, molecules=made.molecules.with_molecules(positions=positions))

    model.sample = broken.__get__(model)  # type: ignore[method-assign]
    wishes = [MoleculeWish(n, 1 + n % 5) for n in range(20)]
    failures: list[int] = []
    batches = list(sampler().sample(wishes, lambda sample, _: failures.append(sample)))
    made = [s.info["sample"] for found in batches for s in found]
    assert made == sorted((n for n in range(20) if n % 5 not in (2, 3)), key=lambda n: n % 5)
    assert sorted(failures) == [n for n in range(20) if n % 5 in (2, 3)]
    first = {wish.sample for wish in next(iter(sampler().batches(wishes)))}
    rest = sampler().sample([wish for wish in wishes if wish.sample not in first], lambda *_: None)
    for one, other in zip((s for found in rest for s in found), (s for f in batches[1:] for s in f), strict=True):
        assert np.array_equal(one.positions, other.positions)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    del model.sample
    save_model(tmp_path / "m.safetensors", model, training={}, provenance={})
    with pytest.raises(InputError, match="no structure came out"):
        generate(tmp_path / "m.safetensors", tmp_path / "o.h5", n=3, device="cpu")
    assert {p.name for p in tmp_path.iterdir()} == {"m.safetensors", "o.h5.failed.csv"}


def test_what_is_wrong_is_flagged_and_kept(files: Path, tmp_path: Path) -> None:
    """A network that knows nothing makes no chemistry."""
    result = generate(files / "flow.safetensors", tmp_path / "o.h5", n=20, atoms=5, device="cpu")
    flags = [s.info.get("flags", "").split(",") for s in read(tmp_path / "o.h5")]
    assert sum("valence" in each for each in flags) > 10
    for name, count in result.flags.items():
        assert sum(name in each for each in flags) == count
    assert result.exit_code is ExitCode.OK


def test_batches_hold_as_much_as_they_may() -> None:
    model = generator({"name": "edm", "denoiser": NETWORKS["egnn"]})
    assert isinstance(model, MoleculeGenerator)
    wishes = [MoleculeWish(n, size) for n, size in enumerate([3, 9, 1, 5, 5, 2, 20, 4])]
    for limit in (1, 10, 30):
        sampler = MoleculeSampler(model, MoleculeSettings(0, model.config.sampling, batch_atoms=limit))
        found = list(sampler.batches(wishes))
        assert sorted(w.sample for batch in found for w in batch) == list(range(8))
        for batch in found:
            assert len(batch) == 1 or len(batch) * max(w.atoms for w in batch) <= limit


def test_molecules_are_made_in_halves_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one too large alone is a failure, with exit code 3 in the end."""
    model = generator({"name": "edm", "timesteps": 10, "denoiser": NETWORKS["egnn"]})
    wishes = [MoleculeWish(n, size) for n, size in enumerate([3, 4, 2, 9, 3, 4])]
    settings = MoleculeSettings(0, model.config.sampling)
    whole = [s for found in MoleculeSampler(model, settings).sample(wishes, lambda *_: None) for s in found]
    plain = type(model).sample

    def cramped(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        if len(request.counts) * request.width > 8:
            raise MemoryError
        return plain(self, request, *args, **options)

    monkeypatch.setattr(model, "sample", cramped.__get__(model))
    failures: list[Any] = []
    made = [s for f in MoleculeSampler(model, settings).sample(wishes, lambda *f: failures.append(f)) for s in f]
    assert [s.info["sample"] for s in made] == [2, 0, 4, 1, 5]
    assert failures == [(3, "it needs more memory than there is")]
    for one in made:
        (same,) = (s for s in whole if s.info["sample"] == one.info["sample"])
        np.testing.assert_allclose(one.positions, same.positions, atol=1e-4)


def test_aromatic_rings_of_a_scaffold_take_the_form_of_the_model() -> None:
    from eqcli.io.smiles import embed

    frame = embed("c1ccoc1", "", Where())
    furan = Structure(frame.numbers, frame.positions, info={"bonds": frame.info["bonds"]})
    orders = {form: sorted(order for *_, order in _in_form(furan, aromatic=form)) for form in (True, False)}
    assert orders[True].count(1.5) == 5
    assert orders[False].count(2) == 2
    assert 1.5 not in orders[False]
