"""Registration of proteins made for the test: chains cut, renumbered, renamed and multiplied."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.engine.protein_chains import chains_of
from eqcli.engine.register_proteins import register_proteins
from eqcli.engine.registered_structures import moved_structure
from eqcli.errors import InputError
from eqcli.io.receptor_residues import AMINO_ACIDS
from eqcli.io.structure import Structure
from tests.geometry.made_chains import deformed, made_chain, turned


def protein(chains, first=1, names=None):
    """Chains `{name: Cα}` with N and C beside each Cα, and names of residues by their place in the chain."""
    rows = []
    for chain, points in chains.items():
        kinds = np.random.default_rng(7).choice(AMINO_ACIDS, size=400) if names is None else names
        for k, ca in enumerate(points):
            residue = (chain, first + k, str(kinds[k]))
            rows += [
                ("N", 7, ca - np.array([1.2, 0.7, 0]), residue),
                ("CA", 6, ca, residue),
                ("C", 6, ca + np.array([1, 1, 0.4]), residue),
            ]
    arrays = {
        "atom_name": np.array([row[0] for row in rows]),
        "residue_name": np.array([row[3][2] for row in rows]),
        "chain": np.array([row[3][0] for row in rows]),
        "residue_number": np.array([row[3][1] for row in rows]),
    }
    return Structure(np.array([row[1] for row in rows]), np.array([row[2] for row in rows]), arrays=arrays)


def moved(structure, rng):
    turn, shift = turned(rng), rng.normal(size=3) * 30
    return moved_structure(structure, turn, shift), turn, shift


@pytest.mark.parametrize("on", ["ca", "backbone", "heavy", "all"])
def test_a_cut_and_renumbered_chain_needs_no_names(on):
    rng = np.random.default_rng(1)
    chain = made_chain(120, 3)
    source = protein({"A": chain})
    target, turn, _ = moved(protein({"X": deformed(chain, rng, 0.5)[10:105]}, first=301, names=["ALA"] * 95), rng)
    found = register_proteins(source, target, on=on)
    assert found.reliable
    assert found.score["tm_target"] > 0.9 > found.score["tm_source"]
    assert found.facts["chains"] == [{"source": "A", "target": "X", "residues": found.facts["aligned_residues"]}]
    assert np.abs(found.motion.rotation.numpy() - turn).max() < 0.05
    assert found.rmsd < 1.0
    atoms = {"ca": 1, "backbone": 3, "heavy": 3, "all": 3}[on]
    assert len(found.matched) == atoms * found.facts["aligned_residues"]
    assert found.mapping[0].source.startswith("A 11 ")
    assert found.mapping[0].target.startswith("X 301 ALA")


def test_sequence_and_number():
    rng = np.random.default_rng(2)
    chain = made_chain(80, 4)
    kinds = rng.choice(AMINO_ACIDS, size=80)
    source = protein({"A": chain}, names=kinds)
    target, turn, _ = moved(protein({"B": chain[8:]}, first=9, names=kinds[8:]), rng)
    for by in ("sequence", "number"):
        found = register_proteins(source, target, by=by)
        assert found.facts["aligned_residues"] == 72
        assert found.facts["identity"] == 1
        assert found.rmsd < 1e-6
        np.testing.assert_allclose(found.motion.rotation.numpy(), turn, atol=1e-8)
    shifted = protein({"B": chain}, first=500, names=kinds)
    with pytest.raises(InputError, match="0 residues can be matched by number"):
        register_proteins(source, shifted, by="number")


def test_a_moved_domain_is_still_one_protein():
    """By sequence the pairs are sure even where no motion fits half of them."""
    rng = np.random.default_rng(3)
    chain = made_chain(100, 5)
    bent = chain.copy()
    bent[50:] = bent[50:] @ turned(rng).T + 40.0
    found = register_proteins(protein({"A": chain}), protein({"A": bent}), by="sequence")
    assert found.reliable
    assert found.facts["identity"] == 1
    assert found.rmsd > 5


def test_unrelated_folds_are_not_registered():
    found = register_proteins(
        protein({"A": made_chain(120, 11)}), protein({"A": made_chain(120, 12)}, names=["GLY"] * 120)
    )
    assert not found.reliable
    assert "TM-score by the smaller protein" in found.reasons[0]
    assert found.as_dict()["matrix"] is None


def test_chains_of_a_complex_are_mapped():
    """Two copies of each of two chains, turned about an axis, under other names and in another order."""
    rng = np.random.default_rng(6)
    a, b = made_chain(60, 21), made_chain(70, 22) + np.array([35.0, 0, 0])
    half = np.diag([-1.0, -1.0, 1.0])
    shift = np.array([0.0, 50.0, 6.0])
    parts = {"A": a, "B": b, "C": a @ half + shift, "D": b @ half + shift}
    source = protein(parts)
    renamed = {"P": parts["D"], "Q": parts["A"], "R": parts["B"], "S": parts["C"]}
    target, _, _ = moved(protein({k: deformed(v, rng, 0.3) for k, v in renamed.items()}), rng)
    found = register_proteins(source, target)
    pairs = {(row["source"], row["target"]) for row in found.facts["chains"]}
    assert pairs in (
        {("A", "Q"), ("B", "R"), ("C", "S"), ("D", "P")},
        {("A", "S"), ("B", "P"), ("C", "Q"), ("D", "R")},
    )
    assert found.score["tm_source"] > 0.95
    chosen = register_proteins(source, target, source_chains=("B",), target_chains=("P",))
    assert [(row["source"], row["target"]) for row in chosen.facts["chains"]] == [("B", "P")]
    with pytest.raises(InputError, match="no protein chain Z"):
        register_proteins(source, target, source_chains=("Z",))


def test_what_counts_as_a_residue():
    structure = protein({"A": made_chain(5, 1)})
    structure.arrays["residue_name"][:3] = "CA"
    structure.numbers[1] = 20
    assert len(chains_of(structure)[0]) == 4
    assert chains_of(Structure([6], [[0, 0, 0]])) == []
    with pytest.raises(InputError, match="no residues with a CA atom"):
        register_proteins(Structure([6], [[0, 0, 0]]), structure)


@pytest.mark.shared
def test_two_kinases(shared):
    """CDK2 and ABL: one fold at 22 % identity."""
    from eqcli.io.reading import read_structures

    paths = ("raw_pdb/3pxf.pdb.gz", "complexes/1iep/1iep_protein.pdb.gz")
    source, target = (next(read_structures(shared / "docking" / path)) for path in paths)
    found = register_proteins(source, target)
    assert found.reliable
    assert found.score["tm_target"] > 0.76
    assert found.facts["aligned_residues"] > 235
