"""Which columns of a file are labels, and in which units and signs.

A recipe's `data.labels` section and the `--labels` options of the command line
are this class; its field descriptions are the documentation.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

ENERGY_KEYS = ("energy", "REF_energy", "Energy", "dft_energy", "free_energy", "total_energy")
FORCES_KEYS = ("forces", "REF_forces", "Forces", "dft_forces", "force")
STRESS_KEYS = ("stress", "REF_stress", "dft_stress", "stresses", "virial_stress")
VIRIAL_KEYS = ("virial", "REF_virial", "virials", "dft_virial")

EnergyUnit = Literal["eV", "meV", "Hartree", "Rydberg", "kcal/mol", "kJ/mol"]
LengthUnit = Literal["Angstrom", "Bohr", "nm"]
StressUnit = Literal["eV/Angstrom^3", "GPa", "kbar", "Hartree/Bohr^3"]


class LabelConvention(BaseModel):
    """How the labels of a data file are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    energy: str | None = Field(None, description="Name of the energy entry; by default the first known name found.")
    forces: str | None = Field(None, description="Name of the forces column; by default the first known name found.")
    stress: str | None = Field(None, description="Name of the stress entry; by default the first known name found.")
    virial: str | None = Field(None, description="Name of the virial entry (used where there is no stress).")
    energy_unit: EnergyUnit | None = Field(
        None, description="Unit of the energies; by default the one that the layout of the file fixes, else eV."
    )
    length_unit: LengthUnit | None = Field(
        None,
        description="Unit of positions, cells and of the length in forces; by default the one that the layout of the "
        "file fixes, else Angstrom.",
    )
    stress_unit: StressUnit = Field("eV/Angstrom^3", description="Unit of the stresses.")
    stress_sign: Literal["ase", "vasp"] = Field(
        "ase", description="`ase`: tensile stress is positive. `vasp`: compressive stress is positive."
    )
    stress_order: str = Field("xx yy zz yz xz xy", description="Order of the components where a stress is six numbers.")
    energy_per_atom: bool = Field(False, description="Whether the energies are given per atom.")
    pbc: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Periodicity. `auto` takes what the file states; where a file gives a cell and no periodicity, a "
        "structure is periodic unless the cell is an empty box around a molecule.",
    )

    @field_validator("stress_order")
    @classmethod
    def _six_components(cls, order: str) -> str:
        names = ["".join(sorted(name)) for name in order.replace(",", " ").lower().split()]
        if sorted(names) != ["xx", "xy", "xz", "yy", "yz", "zz"]:
            raise ValueError("expected the six components in the file's order, e.g. 'xx yy zz yz xz xy'")
        return " ".join(names)
