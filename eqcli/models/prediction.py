"""What a potential returns, with units and shapes declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Quantity:
    """Unit and shape of a predicted quantity; B structures, N atoms."""

    unit: str
    shape: str


QUANTITIES: dict[str, Quantity] = {
    "energy": Quantity("eV", "[B]"),
    "atomic_energies": Quantity("eV", "[N]"),
    "forces": Quantity("eV/Å", "[N, 3]"),
    "stress": Quantity("eV/Å^3", "[B, 3, 3]"),
    "virial": Quantity("eV", "[B, 3, 3]"),
}


class Prediction(dict[str, "Tensor"]):
    """Named tensors; the names are those of `QUANTITIES`."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        unknown = set(values) - set(QUANTITIES)
        if unknown:
            raise KeyError(f"undeclared quantities: {sorted(unknown)}")
        super().__init__(values)
