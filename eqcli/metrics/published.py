"""Errors that papers report on public benchmarks, to stand beside one's own.

Numbers are as the papers' tables have them. They were reached with the papers' own sizes and training times,
most of them days on a GPU: they say what an architecture can do, not what a short run should do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Published:
    """One row of a table: energy in meV per structure, forces in meV/Å."""

    model: str
    energy: float | None
    forces: float
    source: str


@dataclass(frozen=True)
class Benchmark:
    """A data set with its protocol; `measure` is `mae` or `rmse`."""

    title: str
    measure: str
    rows: tuple[Published, ...]


SOURCES: Final = {
    "MACE": "Batatia et al., NeurIPS 2022, arXiv:2206.07697",
    "NequIP": "Batzner et al., Nat. Commun. 13, 2453 (2022)",
    "Allegro": "Musaelian et al., Nat. Commun. 14, 579 (2023)",
    "BOTNet": "Batatia et al., Nat. Mach. Intell. 7, 56 (2025), arXiv:2205.06643",
    "TensorNet": "Simeon and De Fabritiis, NeurIPS 2023, arXiv:2306.06482",
    "PONITA": "Bekkers et al., ICLR 2024, arXiv:2310.02970",
    "ACE": "Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021)",
}

_RMD17: Final = {
    "aspirin": {
        "NequIP": (2.3, 8.2), "PONITA": (1.7, 5.8), "MACE": (2.2, 6.6), "Allegro": (2.3, 7.3),
        "BOTNet": (2.3, 8.5), "TensorNet": (2.4, 8.9),
    },
    "azobenzene": {
        "NequIP": (0.7, 2.9), "PONITA": (0.7, 2.3), "MACE": (1.2, 3.0), "Allegro": (1.2, 2.6),
        "BOTNet": (0.7, 3.3), "TensorNet": (0.7, 3.1),
    },
    "benzene": {
        "NequIP": (0.04, 0.3), "PONITA": (0.17, 0.3), "MACE": (0.4, 0.3), "Allegro": (0.3, 0.2),
        "BOTNet": (0.03, 0.3), "TensorNet": (0.02, 0.3),
    },
    "ethanol": {
        "NequIP": (0.4, 2.8), "PONITA": (0.4, 2.5), "MACE": (0.4, 2.1), "Allegro": (0.4, 2.1),
        "BOTNet": (0.4, 3.2), "TensorNet": (0.5, 3.5),
    },
    "malonaldehyde": {
        "NequIP": (0.8, 5.1), "PONITA": (0.6, 4.0), "MACE": (0.8, 4.1), "Allegro": (0.6, 3.6),
        "BOTNet": (0.8, 5.8), "TensorNet": (0.8, 5.4),
    },
    "naphthalene": {
        "NequIP": (0.2, 1.3), "PONITA": (0.3, 1.3), "MACE": (0.5, 1.6), "Allegro": (0.2, 0.9),
        "BOTNet": (0.2, 1.8), "TensorNet": (0.2, 1.6),
    },
    "paracetamol": {
        "NequIP": (1.4, 5.9), "PONITA": (1.1, 4.3), "MACE": (1.3, 4.8), "Allegro": (1.5, 4.9),
        "BOTNet": (1.3, 5.8), "TensorNet": (1.3, 5.9),
    },
    "salicylic": {
        "NequIP": (0.7, 4.0), "PONITA": (0.7, 3.3), "MACE": (0.9, 3.1), "Allegro": (0.9, 2.9),
        "BOTNet": (0.8, 4.3), "TensorNet": (0.8, 4.6),
    },
    "toluene": {
        "NequIP": (0.3, 1.6), "PONITA": (0.3, 1.3), "MACE": (0.5, 1.5), "Allegro": (0.4, 1.8),
        "BOTNet": (0.3, 1.9), "TensorNet": (0.3, 1.7),
    },
    "uracil": {
        "NequIP": (0.4, 3.1), "PONITA": (0.4, 2.4), "MACE": (0.5, 2.1), "Allegro": (0.6, 1.8),
        "BOTNet": (0.4, 3.2), "TensorNet": (0.4, 3.1),
    },
}  # fmt: skip

_TRAJECTORIES: Final = {
    "acac-300K": ("AcAc, 300 K", {"MACE": (0.9, 5.1), "NequIP": (0.81, 5.9), "BOTNet": (0.89, 6.3)}),
    "acac-600K": ("AcAc, 600 K", {"MACE": (4.6, 22.4), "NequIP": (6.04, 27.8), "BOTNet": (6.2, 29.8)}),
    "3bpa-300K": (
        "3BPA, 300 K",
        {"MACE": (3.0, 8.8), "NequIP": (3.28, 10.77), "Allegro": (3.84, 12.98), "BOTNet": (3.1, 11.0),
         "ACE": (7.1, 27.1)},
    ),
    "3bpa-600K": (
        "3BPA, 600 K",
        {"MACE": (9.7, 21.8), "NequIP": (11.16, 26.37), "Allegro": (12.07, 29.17), "BOTNet": (11.5, 26.7),
         "ACE": (24.0, 64.3)},
    ),
    "3bpa-1200K": (
        "3BPA, 1200 K",
        {"MACE": (29.8, 62.0), "NequIP": (38.52, 76.18), "Allegro": (42.57, 82.96), "BOTNet": (39.1, 81.1),
         "ACE": (85.3, 187.0)},
    ),
}  # fmt: skip


def _rows(table: dict[str, tuple[float, float]]) -> tuple[Published, ...]:
    return tuple(Published(model, *errors, SOURCES[model]) for model, errors in table.items())


PUBLISHED: Final[dict[str, Benchmark]] = {
    **{
        f"rmd17-{name}": Benchmark(f"revised MD17, {name}, 950 + 50 training structures", "mae", _rows(table))
        for name, table in _RMD17.items()
    },
    **{
        name: Benchmark(f"{title}, trained on 500 structures at 300 K", "rmse", _rows(table))
        for name, (title, table) in _TRAJECTORIES.items()
    },
}
"""Name of a data set -> what papers report on it."""
