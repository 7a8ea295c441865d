"""Archives of CIFs, one per structure (`.cif.zip`); read as any archive of structure files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eqcli.io import cif, zip_archive
from eqcli.io.formats import Format
from eqcli.io.structure import Structure
from eqcli.io.zip_archive import read as read


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a CIF per structure; provenance is `provenance.json` and a comment in each."""
    comment = cif.comment(provenance)
    return zip_archive.write(path, structures, provenance, Format.CIF, lambda s, i: comment + cif.block(s, i))
