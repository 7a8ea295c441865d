"""The file formats: their names, how a file is recognised, and the module that reads and writes each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from eqcli.errors import InputError, Where


class Format(StrEnum):
    """Name of each format."""

    EXTXYZ = "extxyz"
    CIF = "cif"
    MMCIF = "mmcif"
    POSCAR = "poscar"
    SDF = "sdf"
    MOL = "mol"
    MOL2 = "mol2"
    PDB = "pdb"
    PDBQT = "pdbqt"
    ASE_DB = "ase-db"
    ASE_TRAJ = "ase-traj"
    SMILES = "smiles"
    DATASET = "dataset"
    JSON = "json"
    CSV = "csv"
    MD17 = "md17-npz"
    SPICE = "spice"
    ANI = "ani"
    QM9_ARCHIVE = "qm9-archive"
    OC20 = "oc20-lmdb"
    ASE_LMDB = "ase-lmdb"
    CIF_ZIP = "cif-zip"
    POSCAR_ZIP = "poscar-zip"
    TAR = "tar"
    GEOM_MSGPACK = "geom-msgpack"
    GEOM_PICKLE = "geom-pickle"
    GEOM_ARRAY = "geom-npy"


@dataclass(frozen=True)
class FormatSpec:
    """What a format can do.

    Attributes
    ----------
    suffixes
        Endings of its files, the preferred one first.
    module
        The module with `read(path)` and `write(path, structures, provenance)`.
    reads, writes
        Whether each direction is supported.
    many
        Whether one file holds several structures.
    labels
        Whether it carries energies, forces and stresses.
    cell
        Whether the cell and its periodicity are kept; `needed` where every structure has a cell and
        reads back as periodic, `lost` where there is no place for one.
    bonds
        Whether bonds that make a molecule are needed of every structure.
    gzip
        Whether it is also read compressed (`.gz`).
    description
        For people.
    """

    suffixes: tuple[str, ...]
    module: str
    reads: bool = True
    writes: bool = True
    many: bool = True
    labels: bool = False
    cell: Literal["kept", "needed", "lost"] = "kept"
    bonds: bool = False
    gzip: bool = False
    description: str = ""


FORMATS: dict[Format, FormatSpec] = {
    Format.EXTXYZ: FormatSpec(
        (".extxyz", ".xyz"), "eqcli.io.extxyz", labels=True, gzip=True, description="XYZ and extended XYZ"
    ),
    Format.CIF: FormatSpec(
        (".cif",), "eqcli.io.cif", cell="needed", gzip=True, description="CIF of a crystal (or mmCIF, by content)"
    ),
    Format.MMCIF: FormatSpec((".mmcif",), "eqcli.io.mmcif", gzip=True, description="macromolecular CIF"),
    Format.POSCAR: FormatSpec(
        (".vasp", ".poscar"),
        "eqcli.io.poscar",
        many=False,
        cell="needed",
        description="VASP POSCAR and CONTCAR (by name, too)",
    ),
    Format.SDF: FormatSpec(
        (".sdf",), "eqcli.io.sdf", cell="lost", gzip=True, description="MDL structure-data file, V2000 or V3000"
    ),
    Format.MOL: FormatSpec(
        (".mol",), "eqcli.io.sdf", many=False, cell="lost", description="MDL molfile, V2000 or V3000"
    ),
    Format.MOL2: FormatSpec(
        (".mol2",), "eqcli.io.mol2", writes=False, cell="lost", gzip=True, description="Tripos MOL2"
    ),
    Format.PDB: FormatSpec((".pdb", ".ent"), "eqcli.io.pdb", gzip=True, description="Protein Data Bank file"),
    Format.PDBQT: FormatSpec(
        (".pdbqt",),
        "eqcli.io.pdbqt",
        writes=False,
        cell="lost",
        gzip=True,
        description="AutoDock and Vina: receptor, or poses of a ligand; polar hydrogens alone",
    ),
    Format.ASE_DB: FormatSpec((".db",), "eqcli.io.ase_db", labels=True, description="ASE database (SQLite)"),
    Format.ASE_TRAJ: FormatSpec((".traj",), "eqcli.io.ase_db", writes=False, labels=True, description="ASE trajectory"),
    Format.SMILES: FormatSpec(
        (".smi", ".smiles"),
        "eqcli.io.smiles",
        cell="lost",
        bonds=True,
        description="SMILES; read: conformers are generated (RDKit); written: from bonds",
    ),
    Format.DATASET: FormatSpec(
        (".h5", ".hdf5"), "eqcli.io.store_format", labels=True, description="eqcli dataset (HDF5)"
    ),
    Format.JSON: FormatSpec(
        (".json", ".json.zip"),
        "eqcli.io.json_records",
        labels=True,
        gzip=True,
        description="written: a list of pymatgen structures; read: these, their entries, structure records (mlearn, "
        "JARVIS, Materials Project) or a Matbench table",
    ),
    Format.CSV: FormatSpec(
        (".csv",),
        "eqcli.io.csv_table",
        cell="lost",
        gzip=True,
        description="written: a table of results; read: id_prop.csv beside structure files, or a table with CIFs",
    ),
    Format.MD17: FormatSpec(
        (".npz",), "eqcli.io.md17", writes=False, labels=True, description="MD17, rMD17 or sGDML arrays (NumPy)"
    ),
    Format.SPICE: FormatSpec(
        (".hdf5",), "eqcli.io.spice", writes=False, labels=True, cell="lost", description="SPICE (HDF5, by content)"
    ),
    Format.ANI: FormatSpec(
        (".h5",),
        "eqcli.io.ani",
        writes=False,
        labels=True,
        cell="lost",
        description="ANI-1, ANI-1x or TorchANI (HDF5, by content)",
    ),
    Format.QM9_ARCHIVE: FormatSpec(
        (".tar.bz2",),
        "eqcli.io.qm9_xyz",
        writes=False,
        labels=True,
        cell="lost",
        description="archive of QM9's .xyz files (these are read as .xyz, too)",
    ),
    Format.OC20: FormatSpec(
        (".lmdb",), "eqcli.io.oc20_lmdb", writes=False, labels=True, description="Open Catalyst database (LMDB)"
    ),
    Format.ASE_LMDB: FormatSpec(
        (".aselmdb",), "eqcli.io.ase_lmdb", writes=False, labels=True, description="ASE database (LMDB)"
    ),
    Format.CIF_ZIP: FormatSpec(
        (".cif.zip", ".zip"),
        "eqcli.io.cif_zip",
        cell="needed",
        description="archive with a CIF per structure; read: CIF, POSCAR and XYZ files in any archive",
    ),
    Format.POSCAR_ZIP: FormatSpec(
        (".vasp.zip", ".poscar.zip"),
        "eqcli.io.poscar_zip",
        cell="needed",
        description="archive with a POSCAR per structure; read as above",
    ),
    Format.TAR: FormatSpec(
        (".tar.xz", ".tar.gz", ".tgz", ".tar"),
        "eqcli.io.tar_archive",
        writes=False,
        labels=True,
        description="archive of .xyz files, or of GEOM's files",
    ),
    Format.GEOM_MSGPACK: FormatSpec(
        (".msgpack",),
        "eqcli.io.geom_msgpack",
        writes=False,
        labels=True,
        cell="lost",
        description="GEOM, crude archive (MessagePack)",
    ),
    Format.GEOM_PICKLE: FormatSpec(
        (".pickle",),
        "eqcli.io.geom_pickle",
        writes=False,
        labels=True,
        cell="lost",
        description="GEOM, a molecule of rdkit_folder; read without unpickling",
    ),
    Format.GEOM_ARRAY: FormatSpec(
        (".npy",), "eqcli.io.geom_array", writes=False, cell="lost", description="GEOM, rows of atoms (NumPy)"
    ),
}
"""Every format."""

_BY_SUFFIX = {suffix: name for name, spec in reversed(FORMATS.items()) for suffix in spec.suffixes}
"""Where two formats share an ending, the first of the table stands for it, and the content tells."""
_VASP_NAMES = ("POSCAR", "CONTCAR")


def format_of(path: str | Path) -> Format:
    """The format of a file, by its name. Raises InputError that lists the known endings."""
    name = Path(path).name
    # An ending such as .tar.gz is one of its own; .gz after any other is compression.
    compressed = name.lower().endswith(".gz") and _by_ending(name.lower()) is None
    plain = name[:-3] if compressed else name
    found = _by_ending(plain.lower())
    if found is None and plain.upper().startswith(_VASP_NAMES):
        found = Format.POSCAR
    if found is None:
        known = ", ".join(s for spec in FORMATS.values() for s in spec.suffixes)
        ending = Path(plain).suffix
        message = f"unknown file ending '{ending}'" if ending else "the name of this file does not tell its format"
        raise InputError(message, Where(path), f"Known are {known}, and names that begin with POSCAR or CONTCAR.")
    if plain != name and not FORMATS[found].gzip:
        raise InputError(f"{found} files are not read compressed", Where(path), "Decompress it with gunzip first.")
    return found


def _by_ending(name: str) -> Format | None:
    """The format with the longest ending that the name has."""
    endings = [suffix for suffix in _BY_SUFFIX if name.endswith(suffix) and name != suffix]
    return _BY_SUFFIX[max(endings, key=len)] if endings else None


def readable_format(path: str | Path) -> Format:
    """As `format_of`, for a file to be read: HDF5 files of other programs are told by their content."""
    found = format_of(path)
    if found is Format.DATASET:
        from eqcli.io.hdf5_layouts import recognise

        found = recognise(Path(path))
    if not FORMATS[found].reads:
        raise InputError(f"{found} files can be written, not read", Where(path))
    return found


def writable_format(path: str | Path) -> Format:
    """As `format_of`, for a file to be written."""
    found = format_of(path)
    if not FORMATS[found].writes:
        can = ", ".join(spec.suffixes[0] for spec in FORMATS.values() if spec.writes)
        raise InputError(f"{found} files can be read, not written", Where(path), f"Files that can be written: {can}.")
    name = Path(path).name.lower()
    if name.endswith((".gz", ".json.zip")):
        last = Path(name).suffix
        hint = f"Leave out {last}, or write an .h5 file."
        raise InputError("compressed files of this kind are read, not written", Where(path), hint)
    return found
