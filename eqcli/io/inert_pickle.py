"""Reading a pickled PyTorch module without running anything that it names.

A file of `torch.save(module)` is a zip archive: a pickle that names classes and
functions, and the raw bytes of the tensors. Here every name becomes an inert
stand-in that only remembers what it was called with; nothing is imported or
called, whatever the file says. Tensors are rebuilt from their bytes.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where
from eqcli.files import require_file

if TYPE_CHECKING:
    from torch import Tensor

STORAGE_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class Inert:
    """Stands for an object of a class that is not loaded.

    `kind` is the dotted name of the class; `args` what it was made from; `state`
    the attributes that the pickle gave it.
    """

    kind = ""
    args: tuple[Any, ...]
    state: dict[str, Any]
    items: list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        self = super().__new__(cls)
        self.args, self.state, self.items = args, {}, []
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Accepts whatever the class was called with; `__new__` has kept it."""

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {"state": state}

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def extend(self, values: Any) -> None:
        self.items.extend(values)

    @property
    def name(self) -> str:
        """The class name without its module."""
        return self.kind.rsplit(".", 1)[-1]

    def child(self, name: str) -> Inert | None:
        """The submodule of that name, or None."""
        found: Inert | None = self.state.get("_modules", {}).get(name)
        return found

    def children(self) -> list[Inert]:
        """All direct submodules in order."""
        return [m for m in self.state.get("_modules", {}).values() if isinstance(m, Inert)]

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and buffers of this module and those below it, by dotted name."""
        found = {}
        for group in ("_parameters", "_buffers"):
            for name, value in self.state.get(group, {}).items():
                if value is not None and hasattr(value, "shape"):
                    found[prefix + name] = value
        for name, module in self.state.get("_modules", {}).items():
            if isinstance(module, Inert):
                found.update(module.tensors(f"{prefix}{name}."))
        return found


class _Storage:
    """The bytes of a tensor, not yet read."""

    def __init__(self, dtype: str, key: str) -> None:
        self.dtype = dtype
        self.key = key


def read_inert_module(path: str | Path) -> Inert:
    """The module saved in `path`, as stand-ins and tensors. Raises InputError when it is no such file."""
    module = read_inert(path)
    if not isinstance(module, Inert):
        raise InputError(
            f"this file holds a {type(module).__name__}, not a whole model", Where(Path(path)),
            "Give the model file, not a checkpoint or a state dict.",
        )  # fmt: skip
    return module


def read_inert(path: str | Path) -> Any:
    """What `torch.save` put into `path`: containers, tensors and stand-ins.

    Raises InputError when it is no such file.
    """
    source = require_file(path)
    try:
        with zipfile.ZipFile(source) as archive:
            root = next(n for n in archive.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
            with archive.open(f"{root}data.pkl") as stream:
                return _Unpickler(stream, archive, root).load()
    except (zipfile.BadZipFile, StopIteration, KeyError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise InputError(
            "this is not a file saved by PyTorch, or it is damaged", Where(source),
            "Files of PyTorch before 1.6 have to be saved anew with a later version.",
        ) from error  # fmt: skip


class _Unpickler(pickle.Unpickler):
    """An unpickler for which every name is inert, except containers and tensors."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(stream)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "builtins" and name in ("set", "frozenset", "list", "dict", "tuple", "slice", "complex"):
            return {"set": set, "frozenset": frozenset, "list": list, "dict": dict, "tuple": tuple, "slice": slice,
                    "complex": complex}[name]  # fmt: skip
        if module == "torch" and name in STORAGE_DTYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if (module, name) in (("torch._utils", "_rebuild_parameter"), ("torch.nn.parameter", "Parameter")):
            return lambda data, *_: data
        return type(name, (Inert,), {"kind": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, *_ = pid
        if kind != "storage" or storage_type not in STORAGE_DTYPES:
            raise pickle.UnpicklingError(f"unknown storage {pid!r}")
        return _Storage(STORAGE_DTYPES[storage_type], str(key))

    def _rebuild_tensor(self, storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
        import torch

        raw = bytearray(self._archive.read(f"{self._root}data/{storage.key}"))
        dtype = getattr(torch, storage.dtype)
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        shape, steps = tuple(size), tuple(stride)
        last = offset + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else -1
        if offset < 0 or last >= len(flat) or any(s < 0 for s in steps):
            raise pickle.UnpicklingError("a tensor reaches beyond its bytes")
        return flat.as_strided(shape, steps, offset).clone()
