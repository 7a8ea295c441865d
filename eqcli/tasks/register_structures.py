"""Registration of two molecules, proteins or crystals."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.tasks.register_structures_result import StructureResult as StructureResult

if TYPE_CHECKING:
    from eqcli.engine.registered_structures import RegisteredStructures
    from eqcli.io.structure import Structure
    from eqcli.tasks.register_request import Kind, RegisterRequest

LEAST_RESIDUES = 3
"""Residues with a Cα that make a protein; an amino acid alone is a molecule."""

ONE = {"molecules": "a molecule", "proteins": "a protein", "crystals": "a crystal", "clouds": "a cloud"}


def register_structures(request: RegisterRequest) -> StructureResult:
    """The rigid motion that lays the source onto the target, atom by atom.

    Raises
    ------
    InputError
        A file cannot be read, the two are of different kinds, or their atoms cannot be matched as asked.
    MissingDependency
        Crystals, and pymatgen is not installed.
    """
    notes: list[str] = []
    source, target = (_read(path, word, notes) for path, word in _sides(request.source, request.target))
    kind = request.kind or _common_kind(source, target)
    begin = time.perf_counter()
    registered = _registered(kind, source, target, request)
    return StructureResult(registered, request.source, request.target, notes, time.perf_counter() - begin)


def _sides(source: Path, target: Path) -> tuple[tuple[Path, str], tuple[Path, str]]:
    return (source, "source"), (target, "target")


def _read(path: Path, side: str, notes: list[str]) -> Structure:
    """The first structure of a file."""
    from eqcli.io.reading import read_structures

    found = list(islice(read_structures(path), 2))
    if not found:
        raise InputError("there are no structures in this file", Where(path))
    if len(found) > 1:
        notes.append(f"the {side} has several structures: the first is taken")
    return found[0]


def _registered(kind: Kind, source: Structure, target: Structure, request: RegisterRequest) -> RegisteredStructures:
    if kind == "proteins":
        from eqcli.engine.register_proteins import register_proteins

        return register_proteins(
            source,
            target,
            on=request.on or "ca",
            by=request.by or "structure",
            source_chains=request.source_chains,
            target_chains=request.target_chains,
        )
    if kind == "crystals":
        from eqcli.engine.register_crystals import register_crystals

        names = ("ltol", "stol", "angle_tol", "primitive", "scale")
        given = {name: getattr(request, name) for name in names if getattr(request, name) is not None}
        return register_crystals(source, target, **given)
    if kind == "molecules":
        from eqcli.engine.register_molecules import register_molecules

        return register_molecules(source, target, permute=request.permute, heavy=request.heavy, reflect=request.reflect)
    raise InputError(f"{kind} are not registered atom by atom")


def kind_of(source: Path, target: Path) -> Kind:
    """What two files are: crystals repeat in three directions, proteins have residues with a Cα, molecules are the
    other structures, and everything else is clouds.

    Raises InputError where they are structures of different kinds, or a structure cannot be read.
    """
    if not all(_holds_structures(path) for path in (source, target)):
        return "clouds"
    notes: list[str] = []
    first, second = (_read(path, side, notes) for path, side in _sides(source, target))
    return _common_kind(first, second)


def _common_kind(source: Structure, target: Structure) -> Kind:
    kinds = _kind(source), _kind(target)
    if kinds[0] != kinds[1]:
        message = f"the source is {ONE[kinds[0]]} and the target {ONE[kinds[1]]}"
        raise InputError(message, target.where, "Say what both are taken for with --as, clouds for instance.")
    return kinds[0]


def _kind(structure: Structure) -> Kind:
    from eqcli.engine.protein_chains import chains_of

    if sum(map(len, chains_of(structure))) >= LEAST_RESIDUES:
        return "proteins"
    return "crystals" if structure.pbc.all() else "molecules"


def _holds_structures(path: Path) -> bool:
    """Whether a file has atoms; files of several kinds of content are told by it."""
    from eqcli.io.cloud_reading import READERS
    from eqcli.io.cloud_source import open_source
    from eqcli.io.cloud_structures import holds_atoms
    from eqcli.io.formats import format_of

    require_file(path)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in READERS:
        return suffix in (".xyz", ".csv", ".npy", ".npz") and holds_atoms(open_source(path))
    try:
        format_of(path)
    except InputError:
        return False
    return True
