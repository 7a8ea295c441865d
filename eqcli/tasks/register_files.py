"""The files that a registration of two files writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.files import refuse_existing

VIEWER, PICTURE = (".html", ".htm"), (".png",)


@dataclass(frozen=True)
class RegisterFiles:
    """Where results go; None writes nothing.

    Attributes
    ----------
    output
        The moved source.
    transform, result
        The 4 x 4 matrix as text, and everything that is known as JSON.
    viewer, picture
        Before and after, as a page and as PNG.
    """

    output: Path | None = None
    transform: Path | None = None
    result: Path | None = None
    viewer: Path | None = None
    picture: Path | None = None

    def refuse(self, sources: Sequence[Path], overwrite: bool, *, clouds: bool) -> None:
        """Raises InputError, before any work, for a file that cannot be written, exists, or is an input."""
        named = [path for path in vars(self).values() if path is not None]
        if self.output is not None:
            _refuse_format(self.output, clouds)
        for path in named:
            refuse_one(path, sources, overwrite)
        if len({path.resolve() for path in named}) < len(named):
            raise InputError("two results would be written to one file", hint="Give each another name.")
        for option, path, endings in (("--viewer", self.viewer, VIEWER), ("--picture", self.picture, PICTURE)):
            if path is not None and path.suffix.lower() not in endings:
                raise InputError(f"{option}: a file ending in {endings[0]} is written", Where(path))


def refuse_one(path: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """Raises InputError for a file that exists, or is an input."""
    if any(path.resolve() == source.resolve() for source in sources):
        raise InputError("this file is an input and cannot be an output too", Where(path))
    refuse_existing(path, overwrite)


def _refuse_format(path: Path, clouds: bool) -> None:
    if clouds:
        from eqcli.io.cloud_writing import require_writable

        require_writable(path)
    else:
        from eqcli.io.formats import writable_format

        writable_format(path)


def refuse_cloud(path: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """The same for a cloud, whose format must be one that is written."""
    _refuse_format(path, clouds=True)
    refuse_one(path, sources, overwrite)
