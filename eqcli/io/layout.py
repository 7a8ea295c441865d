"""What a known layout of a data set says about its entries, where the user does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eqcli.io.conventions import EnergyUnit, LabelConvention, LengthUnit


@dataclass(frozen=True)
class Layout:
    """The conventions of a data set that are known from the layout of its file.

    The user's `LabelConvention` goes before everything that is said here.

    Attributes
    ----------
    name
        For people; empty where a file has no known layout.
    energy, forces
        Names of the entries that are labels; where None, well-known names are looked for.
    units
        Energy unit of each entry that is an energy or, over a length, forces.
    length_unit
        Unit of positions, cells and of the length in forces.
    aliases
        Names that other programs give to an entry -> its name here.
    remark
        What else a user should know, e.g. which structures were left out.
    """

    name: str = ""
    energy: str | None = None
    forces: str | None = None
    units: Mapping[str, EnergyUnit] = field(default_factory=dict)
    length_unit: LengthUnit | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""

    def energy_unit(self, entry: str, labels: LabelConvention) -> EnergyUnit:
        """Unit of the energy, or of the energy in the forces, of that entry."""
        return labels.energy_unit or self.units.get(entry, "eV")

    def lengths(self, labels: LabelConvention) -> LengthUnit:
        """Unit of lengths."""
        return labels.length_unit or self.length_unit or "Angstrom"

    def named(self, label: str, labels: LabelConvention) -> str | None:
        """The entry that the user, or else the layout, names as `energy`, `forces`, `stress` or `virial`."""
        name: str | None = getattr(labels, label)
        return name if name is not None else getattr(self, label, None)


UNKNOWN = Layout()
"""Of files whose layout fixes nothing."""
