"""Archives of POSCAR files, one per structure (`.vasp.zip`); read as any archive of structure files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eqcli.io import poscar, zip_archive
from eqcli.io.formats import Format
from eqcli.io.structure import Structure
from eqcli.io.zip_archive import read as read


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a POSCAR file per structure; provenance is `provenance.json` and words in each comment line."""
    return zip_archive.write(path, structures, provenance, Format.POSCAR, lambda s, _: poscar.text(s, provenance))
