"""Alignments against a plain reference; clusters and leaks of sequences whose relations are known."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.data import sequence_clusters as module
from eqcli.data.sequence_alignment import (
    GAP_EXTEND,
    GAP_OPEN,
    LETTERS,
    SCALE,
    Codes,
    codes_of,
    identities,
    local_alignments,
    score_table,
)
from eqcli.data.sequence_clusters import Member, leak_report, sequence_clusters

RNG = np.random.default_rng(0)

FREQUENCIES = np.array([78, 51, 45, 54, 19, 43, 63, 74, 22, 51, 90, 57, 22, 39, 52, 71, 58, 13, 32, 64]) / 998
"""Of the residues of natural proteins, which the statistics of scores suppose."""


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same sequences, alone or after others."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def drawn(length: int) -> str:
    return "".join(RNG.choice(list(LETTERS), length, p=FREQUENCIES / FREQUENCIES.sum()))


def mutated(text: str, kept: float) -> str:
    """The sequence with a share of its residues kept and a few inserted or lost."""
    out = []
    for letter in text:
        if RNG.random() < 0.02:
            continue
        out.append(letter if RNG.random() < kept else drawn(1))
        if RNG.random() < 0.02:
            out.append(drawn(1))
    return "".join(out)


def reference(a: Codes, b: Codes) -> int:
    """Cell by cell, as in the papers."""
    table, far = score_table(), -(10**9)
    h, e, f = np.zeros((len(a) + 1, len(b) + 1), int), *(np.full((len(a) + 1, len(b) + 1), far) for _ in range(2))
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            e[i, j] = max(e[i - 1, j], h[i - 1, j] - GAP_OPEN * SCALE) - GAP_EXTEND * SCALE
            f[i, j] = max(f[i, j - 1], h[i, j - 1] - GAP_OPEN * SCALE) - GAP_EXTEND * SCALE
            h[i, j] = max(0, h[i - 1, j - 1] + int(table[a[i - 1], b[j - 1]]), e[i, j], f[i, j])
    return int(h.max())


def test_blosum62_is_symmetric_and_has_its_published_diagonal() -> None:
    table = score_table()
    assert np.array_equal(table, table.T)
    assert (np.diag(table)[:20] // SCALE).tolist() == [4, 5, 6, 6, 9, 5, 5, 6, 8, 4, 4, 5, 5, 6, 7, 4, 5, 11, 7, 4]


def test_alignments_are_those_of_the_plain_algorithm() -> None:
    query = drawn(40)
    long_gap = query[:18] + drawn(6) + query[18:]
    targets = [mutated(query, 0.5), drawn(25), long_gap, query[10:30], "X" * 7, "W"]
    score, identical = local_alignments(codes_of(query), [codes_of(t) for t in targets])
    expected = [reference(codes_of(query), codes_of(t)) for t in targets]
    assert (score * SCALE + identical).tolist() == expected


def test_identity_is_of_the_shorter_sequence_and_the_same_both_ways() -> None:
    a = drawn(120)
    assert identities(a, [a, a[20:80], drawn(50) + a + drawn(70)]).tolist() == [1.0, 1.0, 1.0]
    b = mutated(a, 0.7)
    assert identities(a, [b])[0] == identities(b, [a])[0] == pytest.approx(0.7, abs=0.15)


def test_chance_makes_no_identity() -> None:
    assert not identities(drawn(150), [drawn(n) for n in (20, 50, 150, 400) for _ in range(25)]).any()


def test_sequences_without_residues_are_alike_to_none() -> None:
    assert identities("", [drawn(30)]).tolist() == identities(drawn(30), [""]).tolist() == [0.0]
    assert len(identities(drawn(30), [])) == 0


def family(kept: float) -> tuple[str, str]:
    text = drawn(150)
    return text, mutated(text, kept)


def test_relatives_are_together_and_others_apart() -> None:
    (a, b), (c, d) = family(0.6), family(0.6)
    receptors = [{"A": a}, {"A": c}, {"B": b}, {"A": drawn(150)}, {"A": d}, {}]
    assert sequence_clusters(receptors).tolist() == [0, 1, 0, 2, 1, 3]


def test_one_chain_in_common_links_receptors_and_links_are_handed_on() -> None:
    a, b, c = drawn(100), drawn(100), drawn(100)
    assert sequence_clusters([{"A": a}, {"A": c}, {"A": a, "B": b}, {"X": b}]).tolist() == [0, 1, 0, 0]


def test_a_shared_tag_does_not_link_but_a_shared_peptide_alone_does() -> None:
    tag = "GSHMASMTGGQQMGRGS"
    assert sequence_clusters([{"A": drawn(90), "T": tag}, {"A": drawn(90), "T": tag}]).tolist() == [0, 1]
    assert sequence_clusters([{"T": tag}, {"T": tag}]).tolist() == [0, 0]


def test_the_identity_decides() -> None:
    a, b = family(0.55)
    receptors = [{"A": a}, {"A": b}]
    assert sequence_clusters(receptors, identity=0.3).tolist() == [0, 0]
    assert sequence_clusters(receptors, identity=0.9).tolist() == [0, 1]
    with pytest.raises(ValueError, match="identity"):
        sequence_clusters(receptors, identity=30)


def test_few_alignments_find_the_same_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    receptors = [{"A": text} for _ in range(12) for text in family(0.5)]
    everything = sequence_clusters(receptors)
    monkeypatch.setattr(module, "PAIRS", 40)
    assert sequence_clusters(receptors).tolist() == everything.tolist() == [n for n in range(12) for _ in range(2)]


def test_leaks_name_the_nearest_and_shared_ligands() -> None:
    a, b = family(0.6)
    train = [Member("first", {"A": drawn(120)}, ["CCO"]), Member("second", {"A": a, "B": drawn(60)}, ["c1ccccc1", "C"])]
    test = [Member("near", {"A": b}, ["C", "CCN"]), Member("same", {"Q": a}), Member("none", {"A": drawn(80)}),
            Member("bare", {}, ["CCO"])]  # fmt: skip
    near, same, none, bare = leak_report(train, test)
    assert (near.name, near.nearest, near.ligands) == ("near", "second", ("C",))
    assert 0.4 < near.identity < 0.8
    assert (same.identity, same.nearest) == (1.0, "second")
    assert (none.identity, none.nearest) == (0.0, "")
    assert np.isnan(bare.identity)
    assert bare.ligands == ("CCO",)
