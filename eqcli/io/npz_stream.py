"""Arrays of an `.npz` file read row after row, in constant memory; nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eqcli.errors import InputError, Where

CHUNK_BYTES = 1 << 22
"""Read of each array at once."""

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What zipfile and numpy raise on a damaged file."""


class NpzStream:
    """An open `.npz` file. `shapes` has the shape of each array, `dtypes` its type.

    Raises InputError where the file is no such archive, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except DAMAGE as error:
            raise InputError(f"this is not an .npz file, or it is cut off: {error}", Where(path)) from error
        self._members = {name.removesuffix(".npy"): name for name in self._archive.namelist() if name.endswith(".npy")}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, np.dtype[Any]] = {}
        try:
            for key in self._members:
                stream, shape, _, dtype = self._open(key)
                stream.close()
                self.shapes[key], self.dtypes[key] = shape, dtype
        except InputError:
            self._archive.close()
            raise

    def __enter__(self) -> NpzStream:
        return self

    def __exit__(self, *raised: object) -> None:
        self._archive.close()

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def whole(self, key: str) -> NDArray[Any]:
        """A small array, all of it."""
        stream, shape, fortran, dtype = self._open(key)
        count = int(np.prod(shape, dtype=np.int64))
        with stream:
            values = self._values(stream, key, dtype, count)
        return values.reshape(shape, order="F" if fortran else "C")

    def rows(self, key: str) -> Iterator[NDArray[Any]]:
        """Row after row along the first axis."""
        stream, shape, fortran, dtype = self._open(key)
        if fortran and len(shape) > 1:
            # Its rows are not contiguous, so that it can be read as a whole alone.
            stream.close()
            yield from self.whole(key)
            return
        size = int(np.prod(shape[1:], dtype=np.int64))
        step = max(1, CHUNK_BYTES // max(1, size * dtype.itemsize))
        with stream:
            for start in range(0, shape[0], step):
                count = min(step, shape[0] - start)
                yield from self._values(stream, key, dtype, count * size, start).reshape(count, *shape[1:])

    def _open(self, key: str) -> tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]:
        try:
            stream = self._archive.open(self._members[key])
            version = npy.read_magic(stream)
            header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = header(stream)
        except DAMAGE as error:
            raise InputError(f"the array '{key}' is damaged: {error}", Where(self.path, key=key)) from error
        return stream, shape, fortran, dtype

    def _values(self, stream: IO[bytes], key: str, dtype: np.dtype[Any], count: int, frame: int | None = None) -> Any:
        where = Where(self.path, frame, key=key)
        if dtype.hasobject:
            raise InputError(f"the array '{key}' holds pickled objects, which are not read", where)
        expected = count * dtype.itemsize
        try:
            content = stream.read(expected)
        except DAMAGE as error:
            raise InputError(f"the array '{key}' is damaged: {error}", where) from error
        if len(content) != expected:
            raise InputError(f"the array '{key}' ends early: the file is cut off", where)
        return np.frombuffer(content, dtype=dtype)
