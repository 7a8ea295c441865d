"""Conversion between formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io import DatasetFile, LabelConvention, Structure, read_structures, write_structures
from eqcli.tasks.convert import convert
from tests.listener import Listener

CRYSTAL = Structure(
    np.array([11, 17]),
    np.array([[0.0, 0, 0], [2, 2.1, 2]]),
    np.eye(3) * 4,
    np.array([True] * 3),
    energy=-1.0,
    forces=np.ones((2, 3)),
    stress=np.eye(3),
)
BAD = "2\n\nH 0 0 0\nQq 0 0 1\n"
GOOD = "1\nenergy=-10 config_type=a\nH 0 0 0\n"


def test_several_files_into_a_dataset_with_units_and_failures(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(GOOD + BAD + GOOD)
    (tmp_path / "b.xyz").write_text(GOOD)
    listener = Listener()
    labels = LabelConvention(energy_unit="kcal/mol")
    result = convert([tmp_path / "a.xyz", tmp_path / "b.xyz"], tmp_path / "o.h5", labels=labels, report=listener)
    assert result.structures == listener.count == 3
    assert [(f.where.frame, f.where.line) for f in result.failures] == [(1, 7)]
    data = DatasetFile(tmp_path / "o.h5")
    assert [s.energy for s in data] == [pytest.approx(-0.433641153)] * 3
    assert data[0].info == {"config_type": "a"}
    assert data.provenance["inputs"] == ["a.xyz", "b.xyz"]
    assert any("'energy' in 2 of 2 frames; unit kcal/mol" in m for m in listener.messages)
    record = result.as_dict()
    assert record["structures"] == 3
    assert record["failures"][0]["line"] == 7  # type: ignore[index]


@pytest.mark.parametrize("suffix", [".h5", ".db", ".extxyz"])
def test_there_and_back_keeps_labels_exactly(tmp_path: Path, suffix: str) -> None:
    write_structures(tmp_path / "a.extxyz", [CRYSTAL])
    convert([tmp_path / "a.extxyz"], tmp_path / f"b{suffix}")
    convert([tmp_path / f"b{suffix}"], tmp_path / "c.extxyz")
    (back,) = list(read_structures(tmp_path / "c.extxyz"))
    assert back.energy == CRYSTAL.energy
    np.testing.assert_array_equal(back.forces, CRYSTAL.forces)
    np.testing.assert_array_equal(back.stress, CRYSTAL.stress)
    np.testing.assert_array_equal(back.positions, CRYSTAL.positions)


def test_labels_that_a_format_cannot_hold_are_announced(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.extxyz", [CRYSTAL])
    listener = Listener()
    convert([tmp_path / "a.extxyz"], tmp_path / "b.cif", report=listener)
    assert "no place for forces" in listener.warnings[0]


def test_nothing_readable_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(BAD + BAD)
    with pytest.raises(InputError, match="none of the 2 structures") as caught:
        convert([tmp_path / "a.xyz"], tmp_path / "b.h5")
    assert caught.value.where.line == 4
    assert not (tmp_path / "b.h5").exists()


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(GOOD)
    (tmp_path / "b.h5").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        convert([tmp_path / "a.xyz"], tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_text() == "mine"
    assert convert([tmp_path / "a.xyz"], tmp_path / "b.h5", overwrite=True).structures == 1


@pytest.mark.parametrize(
    ("inputs", "output"), [([], "b.h5"), (["no.xyz"], "b.h5"), (["a.xyz"], "b.foo"), (["a.xyz"], "b.safetensors")]
)
def test_requests_that_make_no_sense(tmp_path: Path, inputs: list[str], output: str) -> None:
    (tmp_path / "a.xyz").write_text(GOOD)
    with pytest.raises(InputError):
        convert([tmp_path / name for name in inputs], tmp_path / output)


def test_model_files_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("eqcli.engine.import_mace")
    calls = []
    monkeypatch.setattr(module, "convert_mace_torch", lambda source, target, **_: calls.append((source, target)))
    (tmp_path / "a.model").write_bytes(b"x")
    result = convert([tmp_path / "a.model"], tmp_path / "a.safetensors")
    assert calls == [(tmp_path / "a.model", tmp_path / "a.safetensors")]
    assert result.structures == 0


def test_a_named_label_that_nothing_has_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "a.xyz"
    source.write_text("1\nenergy=-13.6\nH 0 0 0\n")
    with pytest.raises(InputError, match="no frame has the entry 'enrgy'"):
        convert([source], tmp_path / "b.h5", labels=LabelConvention(energy="enrgy"))
    assert not (tmp_path / "b.h5").exists()


def test_a_model_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toy_model import register_toy, save_toy

    register_toy(monkeypatch)
    model = save_toy(tmp_path / "model.safetensors")
    exported = []
    monkeypatch.setattr(
        "eqcli.engine.export_metatomic.export_metatomic", lambda m, path: exported.append((m.potential.dtype, path))
    )
    convert([model], tmp_path / "a.pt", precision="float32")
    convert([model], tmp_path / "b.bin", to="metatomic")
    assert [(str(dtype), path.name) for dtype, path in exported] == [
        ("torch.float32", "a.pt"),
        ("torch.float64", "b.bin"),
    ]


@pytest.mark.parametrize(
    ("inputs", "output", "options", "said"),
    [
        (["a.xyz"], "b.pt", {}, "one model file"),
        (["m.safetensors", "m.safetensors"], "b.pt", {}, "one model file"),
        (["m.safetensors"], "there.pt", {}, "exists already"),
        (["m.safetensors"], "b.pt", {"precision": "half"}, "unknown precision"),
        (["a.xyz"], "b.h5", {"precision": "float32"}, "exported"),
    ],
)
def test_exports_that_cannot_be_are_refused(inputs, output, options, said, tmp_path, monkeypatch) -> None:
    from tests.toy_model import register_toy, save_toy

    register_toy(monkeypatch)
    save_toy(tmp_path / "m.safetensors")
    (tmp_path / "a.xyz").write_text(GOOD)
    (tmp_path / "there.pt").write_text("")
    with pytest.raises(InputError, match=said):
        convert([tmp_path / name for name in inputs], tmp_path / output, **options)
    assert not (tmp_path / "b.pt").exists()
