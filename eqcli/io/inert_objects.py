"""Reading a pickled record of tensors and arrays without running anything that it names.

Databases such as Open Catalyst's hold one pickle per record. Every name in it becomes an inert stand-in
(`inert_pickle.Inert`), except containers of the standard library; tensors of PyTorch and arrays of NumPy are rebuilt
from their bytes, as NumPy arrays.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.inert_pickle import STORAGE_DTYPES, Inert

MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a file that `torch.save` wrote before version 1.6, and of every tensor that is pickled."""

CONTAINERS: dict[str, type] = {
    "set": set,
    "frozenset": frozenset,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "slice": slice,
    "complex": complex,
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
}
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_SIZE = struct.Struct("<q")


def loads(content: bytes) -> Any:
    """The object of a pickle, with stand-ins. Raises ValueError where it is damaged or not supported."""
    try:
        return _settle(_Unpickler(io.BytesIO(content)).load())
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(f"the pickle is damaged: {error}") from error
    except (MemoryError, RecursionError) as error:
        raise ValueError("the pickle is too large or nested too deeply") from error


class _Array:
    """A NumPy array that is being rebuilt."""

    def __init__(self) -> None:
        self.values: NDArray[Any] = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of objects")
        self.values = np.frombuffer(content, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


class _Type:
    """A NumPy type that is being rebuilt."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = str(name)
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        found = np.dtype(self.name)
        if found.hasobject or found.fields:
            raise pickle.UnpicklingError(f"an array of {self.name}")
        return np.dtype(f"{self.order}{self.name}") if self.order in "<>" else found


class _Unpickler(pickle.Unpickler):
    """An unpickler for which every name is inert, except containers, tensors and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module in ("builtins", "__builtin__") and name in CONTAINERS:
            return CONTAINERS[name]
        found = _TENSORS.get((module, name)) or (_ARRAYS.get(name) if module in _NUMPY else None)
        return found or type(name, (Inert,), {"kind": f"{module}.{name}"})


def _storage(content: bytes) -> NDArray[Any]:
    """The numbers of a tensor, which PyTorch pickles as a file of its old format."""
    stream = io.BytesIO(content)
    magic, _, _ = (_Unpickler(stream).load() for _ in range(3))
    if magic != MAGIC:
        raise pickle.UnpicklingError("a tensor in an unknown format")
    kind, key, count = _OldFormat(stream).load()
    if _OldFormat(stream).load() != [key]:
        raise pickle.UnpicklingError("a tensor that shares its bytes with another")
    size = _SIZE.unpack(stream.read(_SIZE.size))[0]
    dtype = np.dtype(STORAGE_DTYPES[kind])
    values = np.frombuffer(stream.read(size * dtype.itemsize), dtype=dtype)
    if not len(values) == size == count:
        raise pickle.UnpicklingError("a tensor that ends early")
    return values


class _OldFormat(_Unpickler):
    """Of the old format: the type of the numbers, their key and their count."""

    def find_class(self, module: str, name: str) -> Any:
        return name if module == "torch" and name in STORAGE_DTYPES else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> tuple[str, str, int]:
        kind, storage, key, _, count, view, *_ = pid
        if kind != "storage" or storage not in STORAGE_DTYPES or view is not None:
            raise pickle.UnpicklingError(f"an unknown storage {pid!r}"[:100])
        return storage, str(key), count


def _tensor(storage: NDArray[Any], offset: int, size: Any, stride: Any, *_: Any) -> NDArray[Any]:
    shape, steps = tuple(size), tuple(stride)
    if any(n < 0 for n in shape) or any(s < 0 for s in steps) or len(shape) != len(steps):
        raise pickle.UnpicklingError("a tensor without a shape")
    last = offset + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else offset - 1
    if offset < 0 or last >= len(storage):
        raise pickle.UnpicklingError("a tensor reaches beyond its bytes")
    width = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, tuple(s * width for s in steps), writeable=False)
    return view.copy()


def _bytes(text: str, coding: str) -> bytes:
    """What protocols before 3 have in the place of bytes."""
    if coding != "latin1":
        raise pickle.UnpicklingError(f"bytes coded as {coding[:20]}")
    return text.encode(coding)


def _from_buffer(content: Any, kind: _Type, shape: Any, order: str) -> NDArray[Any]:
    return np.frombuffer(content, dtype=kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: _Type, content: bytes = b"") -> Any:
    return np.frombuffer(content, dtype=kind.dtype)[0].item()


_TENSORS = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch", "Size"): lambda *args: tuple(*args),
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): _bytes,
}
_ARRAYS = {"_reconstruct": lambda *_: _Array(), "scalar": _scalar, "_frombuffer": _from_buffer}


def _settle(value: Any) -> Any:
    """`value` with arrays in the place of what they were rebuilt from, in containers and in attributes."""
    seen: set[int] = set()

    def settle(inner: Any) -> Any:
        if isinstance(inner, _Array):
            return inner.values
        if id(inner) in seen or not isinstance(inner, dict | list | tuple | Inert):
            return inner
        seen.add(id(inner))
        if isinstance(inner, Inert):
            inner.state = settle(inner.state)
        elif isinstance(inner, tuple):
            return tuple(settle(v) for v in inner)
        elif isinstance(inner, list):
            inner[:] = [settle(v) for v in inner]
        else:
            for key in inner:
                inner[key] = settle(inner[key])
        return inner

    return settle(value)
