from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from eqcli.errors import InputError
from eqcli.io.inert_pickle import Inert, read_inert_module


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 3, bias=False)
        self.register_buffer("view", torch.arange(12.0).reshape(3, 4).T[1:])
        self.answer = 42


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.marker)!r}, 'w').write('ran')",))


def write_archive(path: Path, payload: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)


def test_tensors_and_attributes_survive(tmp_path: Path) -> None:
    module = Tiny()
    torch.save(module, tmp_path / "tiny.model")
    read = read_inert_module(tmp_path / "tiny.model")
    assert read.name == "Tiny"
    assert read.state["answer"] == 42
    tensors = read.tensors()
    assert torch.equal(tensors["linear.weight"], module.linear.weight)
    assert torch.equal(tensors["view"], module.view)


def test_code_in_the_file_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    payload = pickle.dumps(Malicious(marker))
    write_archive(tmp_path / "bad.model", payload)
    read = read_inert_module(tmp_path / "bad.model")
    assert isinstance(read, Inert)
    assert not marker.exists()
    # The payload is dangerous to an ordinary reader: the test would not pass by accident.
    pickle.loads(payload)
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"\x80\x02garbage"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.model"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a file saved by PyTorch"):
        read_inert_module(path)


def test_a_truncated_pickle_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "cut.model", pickle.dumps({"a": list(range(100))})[:-20])
    with pytest.raises(InputError, match="not a file saved by PyTorch"):
        read_inert_module(tmp_path / "cut.model")


def test_a_state_dict_is_refused_with_advice(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "state.pt")
    with pytest.raises(InputError, match="not a whole model"):
        read_inert_module(tmp_path / "state.pt")
