"""Docking of a receptor's ligands to one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures
from eqcli.tasks.dock import dock
from eqcli.tasks.dock_request import DockRequest
from tests.listener import Listener
from tests.tasks.dock_case import StubNetwork, use_network, write_ligands, write_receptor
from tests.toy_model import register_toy, save_toy


def request(folder: Path, **options: object) -> DockRequest:
    given = {"network_only": True, "receptor": write_receptor(folder), "device": "cpu"} | options
    return DockRequest("model.safetensors", **given)  # type: ignore[arg-type]


def test_each_pose_is_a_record_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    result = dock(request(tmp_path, ligands=["CCO", "c1ccccc1O"], poses=2), tmp_path / "poses.sdf")
    poses = list(read_structures(tmp_path / "poses.sdf"))
    assert result.exit_code == ExitCode.OK
    assert (result.pairs, result.docked, result.poses) == (2, 2, len(poses))
    first = poses[0]
    assert first.info["name"] == first.info["ligand"] == "CCO"
    assert first.info["receptor"] == "peptide"
    assert first.info["method"] == "equibind"
    assert int(first.info["rank"]) == 1
    assert 0 < float(first.info["confidence"]) < 1
    assert float(first.info["strain"]) > -1e-6
    assert int(first.info["clashes"]) >= 0
    assert len(first.info["bonds"]) == 8


def test_what_cannot_be_docked_is_a_failure_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_network(monkeypatch, StubNetwork(fail="CCN"))
    result = dock(request(tmp_path, ligands=["CCO", "C[", "CCN", "CCS"]), tmp_path / "poses.sdf")
    assert result.exit_code == ExitCode.PARTIAL
    assert [failure.item for failure in result.failures] == ["C[", "CCN"]
    assert "the network broke" in result.failures[1].reason
    assert [pose.info["name"] for pose in read_structures(tmp_path / "poses.sdf")] == ["CCO", "CCS"]


def test_ligands_are_placed_together_and_the_receptor_is_encoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = use_network(monkeypatch, StubNetwork())
    library = write_ligands(tmp_path)
    dock(request(tmp_path, ligands=[str(library)]), tmp_path / "poses.sdf")
    assert network.encoded == ["peptide"]
    assert [len(batch) for batch in network.batches] == [8]


def test_poses_do_not_depend_on_the_ligands_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    dock(request(tmp_path, ligands=["CCCCO", "CCN"]), tmp_path / "both.sdf")
    dock(request(tmp_path, ligands=["CCCCO"]), tmp_path / "one.sdf")
    both, one = (next(iter(read_structures(tmp_path / name))) for name in ("both.sdf", "one.sdf"))
    np.testing.assert_array_equal(both.positions, one.positions)


def test_an_interruption_leaves_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(StubNetwork):
        def poses(self, prepared, ligands, site):  # type: ignore[no-untyped-def]
            if any(ligand.name == "lig5" for ligand, _ in ligands):
                raise KeyboardInterrupt
            return super().poses(prepared, ligands, site)

    use_network(monkeypatch, Interrupted())
    monkeypatch.setattr("eqcli.tasks.dock_work.TOGETHER", 2)
    with pytest.raises(KeyboardInterrupt):
        dock(request(tmp_path, ligands=[str(write_ligands(tmp_path))]), tmp_path / "poses.sdf")
    assert [pose.info["name"] for pose in read_structures(tmp_path / "poses.sdf")] == ["lig0", "lig1", "lig2", "lig3"]


def test_search_without_a_model_stays_in_its_box(tmp_path: Path) -> None:
    """Aspirin on a peptide: favourable, within the box, with sound bonds, and the same for the same seed."""
    receptor = write_receptor(tmp_path)
    centre = next(iter(read_structures(receptor))).positions.mean(axis=0)
    pocket = ",".join(f"{x:.3f}" for x in centre) + ":12"
    asked = DockRequest(
        "physics", receptor, ["CC(=O)Oc1ccccc1C(=O)O"], pocket=pocket, poses=3, effort=0.02, device="cpu"
    )
    listener = Listener()
    result = dock(asked, tmp_path / "poses.sdf", report=listener)
    poses = list(read_structures(tmp_path / "poses.sdf"))
    assert result.exit_code == ExitCode.OK
    assert any("hydrogens" in message for message in listener.messages)
    scores = [float(pose.info["score"]) for pose in poses]
    assert scores == sorted(scores)
    assert scores[0] < -2.0
    for pose in poses:
        heavy = pose.numbers > 1
        assert (np.abs(pose.positions[heavy] - centre) < 12 + 0.5).all()
        lengths = [np.linalg.norm(pose.positions[int(i)] - pose.positions[int(j)]) for i, j, _ in pose.info["bonds"]]
        assert min(lengths) > 0.9
        assert max(lengths) < 1.65
        assert float(pose.info["strain"]) < 60
    dock(asked, tmp_path / "again.sdf")
    again = list(read_structures(tmp_path / "again.sdf"))
    np.testing.assert_allclose(again[0].positions, poses[0].positions, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ligands": []}, "no ligand was given"),
        ({"ligands": ["C"], "receptor": None}, "nothing to dock"),
        ({"ligands": ["C"], "physics_only": True}, "exclude each other"),
        ({"ligands": ["C"], "margin": 3.0}, "--margin"),
        ({"ligands": ["C"], "effort": 0.0}, "--effort"),
        ({"ligands": ["missing.sdf"]}, "no such file"),
        ({"ligands": ["C"], "pocket": "somewhere"}, "no box, no list of residues and no file"),
        ({"table": Path("t.csv"), "ligands": ["C"]}, "the table names the ligands"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], words: str
) -> None:
    use_network(monkeypatch, StubNetwork())
    with pytest.raises(InputError, match=words):
        dock(request(tmp_path, **options), tmp_path / "poses.sdf")
    assert not (tmp_path / "poses.sdf").exists()


def test_a_table_needs_a_folder_and_resuming_a_screen(tmp_path: Path) -> None:
    asked = DockRequest("physics", table=tmp_path / "t.csv")
    with pytest.raises(InputError, match="folder"):
        dock(asked, None)
    one = DockRequest("physics", receptor=write_receptor(tmp_path), ligands=["C"])
    with pytest.raises(InputError, match="--resume"):
        dock(one, tmp_path / "poses.sdf", resume=True)


def test_an_output_is_not_replaced_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    (tmp_path / "poses.sdf").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        dock(request(tmp_path, ligands=["C"]), tmp_path / "poses.sdf")
    assert (tmp_path / "poses.sdf").read_text() == "mine"


def test_a_potential_places_no_ligands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy(monkeypatch)
    model = save_toy(tmp_path / "toy.safetensors")
    asked = DockRequest(str(model), write_receptor(tmp_path), ["CCO"], device="cpu")
    with pytest.raises(InputError, match="places no ligands"):
        dock(asked, tmp_path / "poses.sdf")


def test_a_reference_in_the_pocket_is_not_part_of_the_receptor(tmp_path: Path) -> None:
    """A crystal file still holds its ligand: where the reference lies on it, it makes way."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    receptor = write_receptor(tmp_path)
    centre = next(iter(read_structures(receptor))).positions.max(axis=0) + 3.0
    molecule = Chem.AddHs(Chem.MolFromSmiles("c1ccccc1"))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    conformer = molecule.GetConformer()
    conformer.SetPositions(conformer.GetPositions() + centre)
    (tmp_path / "ref.sdf").write_text(Chem.MolToMolBlock(molecule) + "$$$$\n")
    lines = [
        f"HETATM{900 + k:5d}  C{k + 1}  BNZ B 900    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C"
        for k, (x, y, z) in enumerate(conformer.GetPositions()[:6])
    ]
    text = receptor.read_text().replace("END\n", "")
    (tmp_path / "holo.pdb").write_text(text + "\n".join([*lines, "END"]) + "\n")
    listener = Listener()
    asked = DockRequest(
        "physics", tmp_path / "holo.pdb", ["CO"], pocket=str(tmp_path / "ref.sdf"), effort=0.02, device="cpu"
    )
    dock(asked, tmp_path / "poses.sdf", report=listener)
    assert any("left out" in message and "BNZ" in message for message in listener.messages)
