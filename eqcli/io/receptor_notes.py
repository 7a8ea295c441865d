"""What a user is told of a receptor: chains, gaps, missing atoms, kept groups, hydrogens."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from eqcli.io.receptor_backbone import Residues
from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_groups import Group, Kind
from eqcli.io.receptor_hydrogens import Added
from eqcli.io.receptor_residues import AMINO_ACIDS, PARENTS, STATES, template
from eqcli.io.receptor_rules import broken, counted, listed, plural

_KEPT = {
    Kind.OTHER: "cofactors and other groups kept",
    Kind.ION: "ions kept",
    Kind.NUCLEOTIDE: "nucleotides kept",
    Kind.WATER: "waters kept",
}
_SAME = frozenset((*AMINO_ACIDS, *STATES))
"""Names of unmodified amino acids in whatever state."""


def describe(atoms: Atoms, notes: list[str]) -> None:
    """Notes on chains, gaps, missing atoms, and on what is no ordinary amino acid."""
    amino = [group for group in atoms.groups if group.kind is Kind.AMINO_ACID]
    chains = dict.fromkeys(group.chain for group in amino)
    if len(chains) > 1:
        notes.append(f"{len(chains)} chains: {listed(chain or 'without name' for chain in chains)}")
    _note_gaps(atoms, notes)
    _note_missing(amino, notes)
    codes = [group.label for group in atoms.groups if group.number and group.number[-1].isalpha()]
    if codes:
        notes.append(f"{plural(len(codes), 'residue')} with insertion codes, in the file's order ({listed(codes)})")
    _note_modified(amino, notes)
    empty = [atom for group in atoms.groups for atom in group.heavy if atom.occupancy == 0]
    if empty:
        notes.append(f"{plural(len(empty), 'atom')} with zero occupancy kept")
    for kind, words in _KEPT.items():
        names = [group.name or "without name" for group in atoms.groups if group.kind is kind]
        if names:
            notes.append(f"{words}: {counted(names)}")


def _note_gaps(atoms: Atoms, notes: list[str]) -> None:
    """Pairs of residues that follow each other without a bond, unless both are bonded elsewhere (odd numbering)."""
    linked = {
        (int(atoms.residue[i]), atoms.names[i])
        for i, around in enumerate(atoms.neighbours)
        if atoms.names[i] in ("C", "N") and any(atoms.residue[j] != atoms.residue[i] for j in around)
    }
    gaps = [
        f"{first.label} to {second.label}"
        for k, (first, second) in enumerate(pairwise(atoms.groups))
        if broken(first, second) and not {(k, "C"), (k + 1, "N")} <= linked
    ]
    if gaps:
        notes.append(f"{plural(len(gaps), 'gap')} in chains, left open: {listed(gaps)}")


def _note_missing(amino: list[Group], notes: list[str]) -> None:
    lines = []
    for group in amino:
        known = template(group.name) if group.name in _SAME else None
        present = {atom.name for atom in group.heavy}
        # The end of a chain may name its two oxygens otherwise.
        optional = {"O"} if present & {"OXT", "OT1", "O1"} else set()
        missing = set() if known is None else set(known.neighbours) - present - optional
        if missing:
            lines.append(f"{group.label}: {' '.join(sorted(missing))}")
    if lines:
        notes.append(f"{plural(len(lines), 'residue')} with missing atoms, not rebuilt ({listed(lines)})")


def _note_modified(amino: list[Group], notes: list[str]) -> None:
    modified = [f"{group.name} of {PARENTS[group.name]}" for group in amino if group.name in set(PARENTS) - _SAME]
    if modified:
        notes.append(f"modified amino acids kept: {counted(modified)}")
    unknown = [group.name or "without name" for group in amino if template(group.name) is None]
    if unknown:
        notes.append(f"amino acids without a template, hydrogens by geometry: {counted(unknown)}")


def describe_hydrogens(atoms: Atoms, added: Added, notes: list[str]) -> None:
    """Notes on hydrogens, the states of histidines, and disulphide bridges."""
    there = int((atoms.numbers == 1).sum())
    notes.append(f"hydrogens: {there} in the file, {len(added.names)} added")
    carried = {(int(atoms.residue[i]), atoms.names[i]) for i in added.parents}
    carried |= {(int(atoms.residue[i]), atoms.names[i]) for i, held in enumerate(atoms.hydrogens) if held}
    names = {(True, False): "HID", (False, True): "HIE", (True, True): "HIP", (False, False): "without hydrogen"}
    states = Counter(
        names[(k, "ND1") in carried, (k, "NE2") in carried]
        for k, group in enumerate(atoms.groups)
        if PARENTS.get(group.name, group.name) == "HIS" and group.named("NE2") is not None
    )
    if states:
        notes.append(f"histidines: {', '.join(f'{n} {state}' for state, n in sorted(states.items()))}")
    bridges = sum(
        atoms.numbers[i] == atoms.numbers[j] == 16 and atoms.residue[i] != atoms.residue[j]
        for i, around in enumerate(atoms.neighbours)
        for j in around
        if i < j
    )
    if bridges:
        notes.append(plural(int(bridges), "disulphide bridge"))


def describe_backbones(groups: list[Group], residues: Residues, notes: list[str]) -> None:
    """A note on amino acids whose N or C was built."""
    count = int(residues.built.sum())
    if count:
        labels = listed(groups[i].label for i in residues.index[residues.built])
        notes.append(
            f"{plural(count, 'residue')} without N or C: built for networks, no atoms of the receptor ({labels})"
        )
