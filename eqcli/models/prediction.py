"""What a potential returns, with units and shapes declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Quantity:
    """Unit and shape of a predicted quantity (B structures, N atoms), and how it turns with the structure.

    One that is `molecular` is NaN for structures with a period.
    """

    unit: str
    shape: str
    kind: Literal["scalar", "vector", "tensor"] = "scalar"
    molecular: bool = False

    @property
    def per_atom(self) -> bool:
        """Whether the first axis counts atoms."""
        return self.shape.startswith("[N")


QUANTITIES: dict[str, Quantity] = {
    "energy": Quantity("eV", "[B]"),
    "atomic_energies": Quantity("eV", "[N]"),
    "forces": Quantity("eV/Å", "[N, 3]", "vector"),
    "stress": Quantity("eV/Å^3", "[B, 3, 3]", "tensor"),
    "energy_std": Quantity("eV", "[B]"),
    "forces_std": Quantity("eV/Å", "[N, 3]"),
    "virial": Quantity("eV", "[B, 3, 3]", "tensor"),
}


class Prediction(dict[str, "Tensor"]):
    """Named tensors; the names are those of `QUANTITIES` and those that a model declares itself."""

    def __init__(self, values: Mapping[str, Tensor], declared: Mapping[str, Quantity] | None = None) -> None:
        unknown = set(values) - set(QUANTITIES) - set(declared or {})
        if unknown:
            raise KeyError(f"undeclared quantities: {sorted(unknown)}")
        super().__init__(values)
