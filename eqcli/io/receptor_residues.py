"""What is known of residues by name: amino acids with their bonds and hydrogens, their variants, water, additives.

Names of atoms are those of the wwPDB's chemical component dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

AMINO_ACIDS: Final = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
    *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
)
"""The twenty, in the order of their codes in `Residues.amino_acid`."""

OTHER: Final = len(AMINO_ACIDS)
"""Code of every other amino acid."""

ONE_LETTER: Final = "ARNDCQEGHILKMFPSTWYVX"
"""Letters of the codes; X for others."""

PARENTS: Final[dict[str, str]] = {
    **dict.fromkeys(("MSE", "FME", "MHO", "SME", "OMT", "CXM"), "MET"),
    **dict.fromkeys(("SEP", "SAC", "SVA", "SGB", "SUN", "MIS", "OSE"), "SER"),
    **dict.fromkeys(("TPO", "BMT", "TH5"), "THR"),
    **dict.fromkeys(("PTR", "TYS", "TPQ", "IYR", "NIY", "TYI", "OMY", "TYM"), "TYR"),
    **dict.fromkeys(("KCX", "LLP", "MLY", "M3L", "MLZ", "ALY", "LYN", "LYZ", "KCR", "LYH"), "LYS"),
    **dict.fromkeys(("CSO", "CSD", "CSX", "CME", "OCS", "CAS", "SMC", "CSS", "CSW", "SCH", "CAF", "CSU", "CCS"), "CYS"),
    **dict.fromkeys(("CYX", "CYM", "CYS2", "SNC", "YCM", "SEC", "CSP", "CMT", "CY3", "CYD"), "CYS"),
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP", "HIC", "MHS", "NEP", "HIN", "DDE"), "HIS"),
    **dict.fromkeys(("ASH", "PHD", "BFD", "ASB", "IAS", "ASPH"), "ASP"),
    **dict.fromkeys(("GLH", "CGU", "PCA", "GLUH"), "GLU"),
    **dict.fromkeys(("MEN", "AHB", "SNN"), "ASN"),
    **dict.fromkeys(("MEQ", "GHG"), "GLN"),
    **dict.fromkeys(("AGM", "CIR", "NMM", "DA2", "2MR", "ARN"), "ARG"),
    **dict.fromkeys(("HYP", "DPR"), "PRO"),
    **dict.fromkeys(("TRQ", "HTR", "TRO", "TRN", "FTR", "TOX"), "TRP"),
    **dict.fromkeys(("PHI", "HPQ", "PHL"), "PHE"),
    **dict.fromkeys(("MLE", "NLE", "CLE"), "LEU"),
    **dict.fromkeys(("AIB", "DAL", "MAA"), "ALA"),
    **dict.fromkeys(("MVA", "DVA"), "VAL"),
    **dict.fromkeys(("IIL", "DIL"), "ILE"),
    **dict.fromkeys(("SAR", "GL3"), "GLY"),
}
"""Modified amino acids and the names that programs give to protonation states, with the amino acid each comes from."""

WATERS: Final = frozenset(("HOH", "WAT", "DOD", "H2O", "TIP", "TIP3", "TP3", "T3P", "TIP4", "SOL", "SPC", "OH2", "HO4"))

CAPS: Final = frozenset(("ACE", "NME", "NMA", "NH2", "FOR"))
"""Groups that close the ends of chains."""

NUCLEOTIDES: Final = frozenset(("A", "C", "G", "U", "I", "T", "DA", "DC", "DG", "DT", "DU", "DI"))

ADDITIVES: Final = frozenset(
    (
        # Polyols, glycol ethers and alcohols.
        *("GOL", "EDO", "PEG", "PGE", "PG4", "PG5", "PG6", "1PE", "2PE", "P6G", "7PE", "15P", "12P", "P33", "PE3"),
        *("PE4", "PE5", "PE8", "XPE", "M2M", "TOE", "C8E", "PGO", "PGR", "PDO", "BU1", "BU2", "BU3", "MPD", "MRD"),
        *("EOH", "MOH", "IPA", "IOH", "POL", "TBU", "HEZ", "1PG", "ETE", "ME2", "TRT"),
        # Salts of the crystallisation.
        *("SO4", "SO3", "PO4", "PI", "2HP", "NO3", "NH4", "ACT", "ACY", "FMT", "CIT", "FLC", "TLA", "TAR", "SRT"),
        *("MLI", "MLA", "MLT", "SCN", "AZI", "CAC", "BCT", "CO3", "TFA", "PER", "CLO", "LCP", "CYN"),
        # Solvents, buffers, reducing agents and detergents.
        *("DMS", "DMF", "ACN", "CCN", "DIO", "MES", "EPE", "TRS", "BTB", "B3P", "BCN", "NHE", "CXS", "MPO", "PIN"),
        *("IMD", "GAI", "GND", "URE", "BME", "DTT", "DTV", "DTD", "TCE", "BOG", "BNG", "LMT", "LDA", "SDS", "UNX"),
    )
)  # fmt: skip
"""What crystallisation and purification leave behind; dropped unless bonded to the rest of the receptor."""

_SIDE_CHAINS: Final[dict[str, tuple[str, str]]] = {
    "ALA": ("CA-CB", "CB HB1 HB2 HB3"),
    "ARG": (
        "CA-CB-CG-CD-NE-CZ-NH1 CZ-NH2",
        "CB HB2 HB3, CG HG2 HG3, CD HD2 HD3, NE HE, NH1 HH11 HH12, NH2 HH21 HH22",
    ),
    "ASN": ("CA-CB-CG-OD1 CG-ND2", "CB HB2 HB3, ND2 HD21 HD22"),
    "ASP": ("CA-CB-CG-OD1 CG-OD2", "CB HB2 HB3"),
    "CYS": ("CA-CB-SG", "CB HB2 HB3, SG HG"),
    "GLN": ("CA-CB-CG-CD-OE1 CD-NE2", "CB HB2 HB3, CG HG2 HG3, NE2 HE21 HE22"),
    "GLU": ("CA-CB-CG-CD-OE1 CD-OE2", "CB HB2 HB3, CG HG2 HG3"),
    "GLY": ("", ""),
    "HIS": ("CA-CB-CG-ND1-CE1-NE2-CD2-CG", "CB HB2 HB3, CD2 HD2, CE1 HE1, NE2 HE2"),
    "ILE": ("CA-CB-CG1-CD1 CB-CG2", "CB HB, CG1 HG12 HG13, CG2 HG21 HG22 HG23, CD1 HD11 HD12 HD13"),
    "LEU": ("CA-CB-CG-CD1 CG-CD2", "CB HB2 HB3, CG HG, CD1 HD11 HD12 HD13, CD2 HD21 HD22 HD23"),
    "LYS": ("CA-CB-CG-CD-CE-NZ", "CB HB2 HB3, CG HG2 HG3, CD HD2 HD3, CE HE2 HE3, NZ HZ1 HZ2 HZ3"),
    "MET": ("CA-CB-CG-SD-CE", "CB HB2 HB3, CG HG2 HG3, CE HE1 HE2 HE3"),
    "PHE": ("CA-CB-CG-CD1-CE1-CZ-CE2-CD2-CG", "CB HB2 HB3, CD1 HD1, CE1 HE1, CZ HZ, CE2 HE2, CD2 HD2"),
    "PRO": ("CA-CB-CG-CD-N", "CB HB2 HB3, CG HG2 HG3, CD HD2 HD3"),
    "SER": ("CA-CB-OG", "CB HB2 HB3, OG HG"),
    "THR": ("CA-CB-OG1 CB-CG2", "CB HB, OG1 HG1, CG2 HG21 HG22 HG23"),
    "TRP": (
        "CA-CB-CG-CD1-NE1-CE2-CD2-CG CE2-CZ2-CH2-CZ3-CE3-CD2",
        "CB HB2 HB3, CD1 HD1, NE1 HE1, CZ2 HZ2, CH2 HH2, CZ3 HZ3, CE3 HE3",
    ),
    "TYR": ("CA-CB-CG-CD1-CE1-CZ-CE2-CD2-CG CZ-OH", "CB HB2 HB3, CD1 HD1, CE1 HE1, OH HH, CE2 HE2, CD2 HD2"),
    "VAL": ("CA-CB-CG1 CB-CG2", "CB HB, CG1 HG11 HG12 HG13, CG2 HG21 HG22 HG23"),
}
"""Bonds as chains of names, and the hydrogens of each atom at pH 7 (histidine neutral, with HE2)."""

_BOTH_NITROGENS: dict[str, tuple[str, ...]] = {"ND1": ("HD1",), "NE2": ("HE2",)}
_DELTA_NITROGEN: dict[str, tuple[str, ...]] = {"ND1": ("HD1",), "NE2": ()}
_EPSILON_NITROGEN: dict[str, tuple[str, ...]] = {"ND1": (), "NE2": ("HE2",)}
_THIOLATE: dict[str, tuple[str, ...]] = {"SG": ()}

STATES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "HID": _DELTA_NITROGEN,
    "HSD": _DELTA_NITROGEN,
    "HIE": _EPSILON_NITROGEN,
    "HSE": _EPSILON_NITROGEN,
    "HIP": _BOTH_NITROGENS,
    "HSP": _BOTH_NITROGENS,
    "CYX": _THIOLATE,
    "CYM": _THIOLATE,
    "CYS2": _THIOLATE,
    "ASH": {"OD2": ("HD2",)},
    "ASPH": {"OD2": ("HD2",)},
    "GLH": {"OE2": ("HE2",)},
    "GLUH": {"OE2": ("HE2",)},
    "LYN": {"NZ": ("HZ2", "HZ3")},
    "TYM": {"OH": ()},
}
"""Hydrogens of the protonation states that a residue's name states, where they differ from those at pH 7."""


ALIASES: Final[dict[tuple[str, str], str]] = {("ILE", "CD"): "CD1"}
"""Names of heavy atoms that some programs write, by residue, with those of the dictionary."""


@dataclass(frozen=True)
class Template:
    """Heavy atoms of an amino acid: their bonds within the residue and their hydrogens."""

    neighbours: dict[str, tuple[str, ...]]
    hydrogens: dict[str, tuple[str, ...]]

    @property
    def side_chain(self) -> set[str]:
        """Names of the heavy atoms beyond the backbone."""
        return set(self.neighbours) - {"N", "CA", "C", "O"}


@cache
def template(name: str) -> Template | None:
    """The template of an amino acid, that of its parent for a modified amino acid; None for everything else.

    The bonds of N and C to the neighbouring residues are not among those of the template.
    """
    parent = PARENTS.get(name, name)
    if parent not in _SIDE_CHAINS:
        return None
    bonds, hydrogens = _SIDE_CHAINS[parent]
    alpha = "CA HA2 HA3" if parent == "GLY" else "CA HA"
    return _parsed(f"N-CA-C-O {bonds}", f"{alpha}, {hydrogens}")


def _parsed(bonds: str, hydrogens: str) -> Template:
    neighbours: dict[str, list[str]] = {}
    for chain in bonds.split():
        names = chain.split("-")
        for first, second in pairwise(names):
            neighbours.setdefault(first, []).append(second)
            neighbours.setdefault(second, []).append(first)
    carried = [words.split() for words in hydrogens.split(",") if words.strip()]
    return Template({a: tuple(b) for a, b in neighbours.items()}, {words[0]: tuple(words[1:]) for words in carried})


def amino_acid(name: str) -> int:
    """Code of an amino acid by its three letters, those of its parent for a modified one; `OTHER` for the rest."""
    parent = PARENTS.get(name, name)
    return AMINO_ACIDS.index(parent) if parent in AMINO_ACIDS else OTHER
