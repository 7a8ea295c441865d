"""What the hyper-parameters of all potentials share: the cutoff, and what the model gives."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

from eqcli.io.conventions import ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS, VIRIAL_KEYS

RESERVED = frozenset(
    [
        "energy",
        "atomic_energies",
        "forces",
        "stress",
        "virial",
        "energy_std",
        "forces_std",
        "charge",
        "total_charge",
        "positions",
        "pos",
        "numbers",
        "species",
        "symbols",
        "cell",
        "Lattice",
        "pbc",
        "fixed",
        "move_mask",
        "config_type",
        "name",
        "bonds",
        "formal_charge",
    ]
) | {*ENERGY_KEYS, *FORCES_KEYS, *STRESS_KEYS, *VIRIAL_KEYS}
"""Names that a head must not have: structures and every potential have quantities of these names."""


class HeadConfig(BaseModel):
    """A property that the model gives beside, or instead of, the energy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["scalar", "vector", "dipole", "tensor", "charges", "atom-scalar", "atom-vector"] = Field(
        description="`scalar`: one number per structure; `vector`: three that turn with it; `dipole`: charges times "
        "places plus atomic dipoles, about the centre of mass, in e·Å; `tensor`: a symmetric 3 x 3 tensor such as "
        "the polarisability; `charges`: one per atom, in sum the total charge; `atom-scalar` and `atom-vector`: any "
        "property of atoms."
    )
    reduce: Literal["sum", "mean"] = Field(
        "sum",
        description="How atoms make a `scalar`, `vector` or `tensor` of the structure: `sum` for extensive "
        "properties, `mean` for intensive ones.",
    )
    entry: str | None = Field(None, description="Name of the label in the data; by default the name of the head.")
    unit: str = Field(
        "",
        description="Unit of the labels. Energies, dipoles and polarisabilities are converted to eV, e·Å and Å^3; "
        "any other unit is kept as it is.",
    )


def _names(heads: dict[str, HeadConfig]) -> dict[str, HeadConfig]:
    for name in heads:
        if name in RESERVED:
            raise ValueError(
                f"a head cannot be called '{name}', which means something else already; "
                "its label in the data may (entry)"
            )
        if not name.replace("_", "").isalnum():
            raise ValueError(f"'{name}' is no name for a head: use letters, digits and underscores")
    return heads


Heads = Annotated[dict[str, HeadConfig], AfterValidator(_names)]


class FeatureConfig(BaseModel):
    """Fields of every potential that makes features of atoms."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    cutoff: float = Field(
        5.0,
        gt=0.5,
        le=20.0,
        description="Radius in Å within which atoms are neighbours.",
        validation_alias=AliasChoices("cutoff", "r_max"),
    )
    avg_num_neighbors: float | None = Field(
        None, gt=0, description="Divisor of the sum over neighbours; measured on the training data when absent."
    )
    energy: bool = Field(
        True, description="Whether the model gives an energy, with forces and stress; false for properties alone."
    )
    heads: Heads = Field(default_factory=dict, description="Further properties by name.")

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if not self.energy and not self.heads:
            raise ValueError("a model without an energy needs heads")
        return self
