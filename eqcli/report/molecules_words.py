"""The words of pages about molecules: titles, units, meanings, and what is wrong with the bond rule."""

from __future__ import annotations

from typing import Final

GENERATED, RESAMPLED, EMBEDDED, REFERENCE = "generated", "resampled training", "embedded SMILES", "reference"
SETS: Final = (GENERATED, RESAMPLED, EMBEDDED, REFERENCE)
"""The sets of a report in their order."""

SET_TITLES: Final = {REFERENCE: "reference (data ceiling)"}
WAYS: Final = {"rule": "by the bond rule", "own": "by own bonds"}
METHODS: Final = {"mmff": "MMFF94s", "xtb": "GFN2-xTB"}

FLOOR_TITLES: Final = {REFERENCE: "reference (floor)"}
"""Where the reference is compared with itself."""

MAIN: Final = (
    "atom_stability", "molecule_stability", "valid", "valid_and_connected", "unique", "novel",
)  # fmt: skip
"""Figures that stand large above the page."""

TITLES: Final = {
    "atom_stability": "atom stability",
    "molecule_stability": "molecule stability",
    "valid_and_connected": "valid and connected",
    "closed_shell": "closed shell",
    "unique_of_all": "unique, of all",
    "unique_published": "unique, as EDM counts",
    "valid_unique_published": "valid and unique, as EDM counts",
    "valid_connected_unique_novel": "valid, connected, unique, novel",
    "mean_charge_abs": "mean |charge| (e)",
    "valence_errors": "valence errors per molecule",
    "passes": "passes all checks",
    "js_lengths": "JS bond lengths",
    "js_angles": "JS angles",
    "js_torsions": "JS torsions",
    "js_elements": "JS elements",
    "js_bond_orders": "JS bond orders",
    "js_sizes": "JS sizes",
    "js_rings": "JS rings",
    "js_ring_sizes": "JS ring sizes",
    "js_hybridisations": "JS hybridisations",
}

STRAIN: Final = {
    "mean": "mean (eV)",
    "median": "median (eV)",
    "per_atom": "mean for each atom (eV)",
    "rmsd": "RMSD of heavy atoms (Å)",
    "graph_kept": "bonds unchanged",
    "converged": "came to rest",
}
"""Figures of strain."""

PROPERTIES: Final = {
    "molecular_weight": ("molecular weight", "g/mol"),
    "log_p": ("logP", ""),
    "tpsa": ("polar surface", "Å²"),
    "qed": ("QED", ""),
    "fraction_sp3": ("fraction of sp³ carbon", ""),
    "rings": ("rings", ""),
    "aromatic_rings": ("aromatic rings", ""),
    "rotatable_bonds": ("rotatable bonds", ""),
    "hydrogen_bond_donors": ("hydrogen bond donors", ""),
    "hydrogen_bond_acceptors": ("hydrogen bond acceptors", ""),
    "formal_charge": ("formal charge", "e"),
    "heavy_atoms": ("heavy atoms", ""),
    "gap": ("gap, GFN2-xTB", "eV"),
    "dipole": ("dipole, GFN2-xTB", "e Å"),
    "dipole_debye": ("dipole, GFN2-xTB", "D"),
    "energy_per_atom": ("energy per atom, GFN2-xTB", "eV"),
}
"""Name of a property -> words and unit."""

_PREFIXES: Final = {
    "mean_": "mean ",
    "median_": "median ",
    "mae_of_shuffled_": "MAE of any molecule, ",
    "mae_": "MAE of wanted ",
    "js_": "JS ",
}

SET_MEANINGS: Final = (
    (GENERATED, "what is judged"),
    (RESAMPLED, "a null baseline: molecules of the training set, drawn with replacement. They are real and not new"),
    (EMBEDDED, "a null baseline: SMILES of the training set, with positions by distance geometry and no force field"),
    (REFERENCE, "real molecules by the same rules: the data ceiling. Who is above it learned a fault of the rule"),
)

MEANINGS: Final = (
    ("valence errors", "atoms per molecule whose valence RDKit refuses"),
    (
        "JS …",
        "Jensen-Shannon distance (base 2) of histograms of a set and of the reference: 0 is alike, 1 shares nothing",
    ),
    ("floor", "the same figure of samples of the reference itself, as large as that of the generated: no less is seen"),
    ("strain", "energy of a molecule as it is less that of the nearest minimum; of molecules valid and connected"),
    ("bonds unchanged", "share of molecules whose atoms have the same neighbours after the relaxation"),
    ("passes all checks", "share of molecules that pass every check of PoseBusters"),
    ("distance, …", "Wasserstein-1 to the reference in standard deviations of the reference: 0 is alike"),
    ("MAE of wanted …", "mean distance of a property from the one that was asked for; beside it that of any molecule"),
)

FAULTS: Final = (
    "A pair of elements without an entry in its table never has a bond, and nothing says so.",
    "It knows no aromatic bonds: rings are single and double only as far as their lengths alternate.",
    "It knows no formal charges: zwitterions, nitro groups and salts cannot be right.",
    "Sulphur has four bonds in the published valences: thiols, sulphides and sulphones count as unstable.",
    "It has no lower limit: atoms on top of each other have the bond of the highest order.",
    "Loose pieces count as valid, and uniqueness looks at the largest alone: see valid and connected beside it.",
    "An atom with too few bonds passes as valid, as if hydrogens were there: see closed shell beside it.",
)
"""Of the bond rule; see `metrics.molecules.bond_rule`."""


def title_of(key: str) -> str:
    """The words of a figure's name."""
    if key in TITLES:
        return TITLES[key]
    if key.startswith("distance_"):
        # In standard deviations of the reference, whatever the unit.
        name = key.removeprefix("distance_")
        return f"distance, {PROPERTIES.get(name, (name.replace('_', ' '), ''))[0]}"
    for prefix, words in _PREFIXES.items():
        if key.startswith(prefix):
            return words + property_title(key.removeprefix(prefix))
    return property_title(key)


def property_title(name: str) -> str:
    """The words of a property's name, with its unit where it has one."""
    words, unit = PROPERTIES.get(name, (name.replace("_", " "), ""))
    return f"{words} ({unit})" if unit else words
