"""Keeping two processes out of one folder."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from eqcli.errors import InputError, Where

LOCK_FILE = ".lock"
FLOCK = "hhqqi"
"""The layout of `struct flock` on 64-bit Linux, without the padding at its end."""


class FolderLock:
    """A folder that one process at a time may write into, from `take` to `release`.

    A job that was queued again may start while the one before it still runs. The
    lock is a record lock: it ends with its process, however that ends, worker
    processes do not inherit it, and network file systems keep it too. Where there
    are no such locks nothing is kept out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: IO[bytes] | None = None

    def take(self) -> None:
        """Makes the folder and locks it. Raises InputError where another process has it."""
        try:
            import fcntl
        except ImportError:
            return
        while self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / LOCK_FILE).open("ab")
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.close()
                raise InputError(
                    "another process is working in this folder",
                    Where(self.folder),
                    "Wait for it, stop it, or choose another folder with -o.",
                ) from None
            except OSError:
                file.close()
                return
            if os.fstat(file.fileno()).st_nlink:
                self._file = file
            else:  # released, hence removed, between opening and locking
                file.close()

    def release(self) -> None:
        """Lets others in; without effect where the lock is not held."""
        if self._file is not None:
            Path(self._file.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def __enter__(self) -> FolderLock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(folder: Path) -> bool:
    """Whether another process works in a folder, asked without taking the lock.

    False where it cannot be told: other systems than Linux, file systems without such locks. A process must not ask
    about a folder that it has locked itself: closing the file would end its own lock.
    """
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    # struct flock: type, whence, start, length and holder.
    question = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with (folder / LOCK_FILE).open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except OSError:
        return False
    return bool(struct.unpack(FLOCK, answer)[0] != fcntl.F_UNLCK)
