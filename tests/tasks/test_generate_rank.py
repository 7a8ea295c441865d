"""Generated candidates in the order of their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ExitCode
from eqcli.io import DatasetFile, read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.metrics.crystals.consensus import Standing, consensus
from eqcli.tasks.generate import generate
from tests.tasks.generate_case import models
from tests.tasks.test_generate import assert_same, crystal, read

pytest.importorskip("pymatgen")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = models(tmp_path_factory.mktemp("models"))
    write_structures(folder / "known.extxyz", [crystal([3, 8]), crystal([22, 8, 8]), crystal([3, 8])])
    return folder


def without_rank(structure: Structure) -> dict[str, Any]:
    return {key: value for key, value in structure.info.items() if key not in ("rank", "consensus")}


@pytest.mark.parametrize("name", ["ranked.h5", "ranked.cif.zip"])
def test_candidates_of_each_target_in_order(files: Path, tmp_path: Path, name: str) -> None:
    """The same structures as without ranks, of each target together, with all that is said of them."""
    options: dict[str, Any] = {"composition_of": files / "known.extxyz", "n": 6, "seed": 2, "device": "cpu"}
    generate(files / "csp.safetensors", tmp_path / "made.h5", **options)
    result = generate(files / "csp.safetensors", tmp_path / name, rank=True, **options)
    made, found = read(tmp_path / "made.h5"), read(tmp_path / name)
    assert [s.info["target"] for s in found] == [0] * 6 + [1] * 6 + [2] * 6
    assert [s.info["rank"] for s in found] == [1, 2, 3, 4, 5, 6] * 3
    assert [s.info["sample"] for s in found] != list(range(18))
    (standings, *_) = consensus([made[:6]], workers=1)
    best = min(range(6), key=lambda place: standings[place].rank)
    assert (found[0].info["sample"], found[0].info["consensus"]) == (best, standings[best].distance)
    for structure in found:
        before = made[structure.info["sample"]]
        assert np.array_equal(structure.numbers, before.numbers)
        assert {k: without_rank(structure).get(k) for k in before.info} == before.info
        assert structure.volume == pytest.approx(before.volume, rel=1e-6)
    assert [row["sample"] for row in result.rows] == [s.info["sample"] for s in found]
    assert result.rows[0]["rank"] == 1
    assert not list(tmp_path.glob("*.partial.h5"))


def test_candidates_of_a_formula(files: Path, tmp_path: Path) -> None:
    """A formula that is given twice is one composition; one alone is the first."""
    generate(files / "csp.safetensors", tmp_path / "o.h5", formula=["LiO", "TiO2", "OLi"], n=2, rank=True, device="cpu")
    found = read(tmp_path / "o.h5")
    assert sorted(s.info["sample"] for s in found[:4]) == [0, 1, 4, 5]
    assert [s.info["rank"] for s in found] == [1, 2, 3, 4, 1, 2]
    generate(files / "csp.safetensors", tmp_path / "one.h5", formula="LiO", rank=True, device="cpu")
    (alone,) = read(tmp_path / "one.h5")
    assert alone.info["rank"] == 1
    assert "consensus" not in alone.info
    with DatasetFile(tmp_path / "one.h5") as file:
        assert file.provenance["ranking"]["tolerances"]["stol"] == 0.3
        assert file.provenance["generation"]["formulas"] == ["LiO"]


def test_refined_structures(files: Path, tmp_path: Path) -> None:
    """Also of a model that draws species."""
    generate(
        files / "dng.safetensors", tmp_path / "o.h5", refine=files / "known.extxyz", n=3, strength=0.01, rank=True,
        device="cpu",
    )  # fmt: skip
    found = read(tmp_path / "o.h5")
    assert [(s.info["target"], s.info["rank"]) for s in found] == [(t, r) for t in range(3) for r in (1, 2, 3)]


def test_an_unfinished_generation_is_ranked_when_it_is_whole(files: Path, tmp_path: Path) -> None:
    """Also one that was begun without ranks, or stopped while it was ranked."""
    from eqcli.io import DatasetWriter

    model = files / "csp.safetensors"
    options: dict[str, Any] = {"formula": ["LiO", "TiO2"], "n": 5, "seed": 1, "device": "cpu"}
    generate(model, tmp_path / "made.h5", **options)
    whole = generate(model, tmp_path / "whole.h5", rank=True, **options)
    for name, count in (("half", whole.structures // 2), ("all", whole.structures)):
        with (
            DatasetFile(tmp_path / "made.h5") as file,
            DatasetWriter(tmp_path / f"{name}.h5.partial.h5", provenance=file.provenance) as writer,
        ):
            for structure in list(file)[:count]:
                writer.append(structure)
        again = generate(model, tmp_path / f"{name}.h5", rank=True, resume=True, **options)
        assert again.structures == whole.structures
        assert_same(tmp_path / f"{name}.h5", tmp_path / "whole.h5")


def test_what_could_not_be_ranked_is_told(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(groups: Sequence[Sequence[Structure]], **options: Any) -> list[list[Standing]]:
        first, *others = consensus(groups, workers=1)
        return [[replace(standing, distance=nan) for standing in first], *others]

    monkeypatch.setattr("eqcli.tasks.generate_rank.consensus", gives_up)
    result = generate(
        files / "csp.safetensors", tmp_path / "o.h5", formula=["LiO", "TiO2"], n=2, rank=True, device="cpu"
    )
    found = list(read_structures(tmp_path / "o.h5"))
    assert [s.info.get("rank") for s in found] == [None, None, 1, 2]
    assert [s.info["sample"] for s in found[:2]] == [0, 1]
    assert [(failure.item, "too long" in failure.reason) for failure in result.failures] == [("LiO", True)]
    assert result.exit_code is ExitCode.PARTIAL
