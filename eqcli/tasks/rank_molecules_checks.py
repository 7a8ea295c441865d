"""What a ranking asks of relaxed molecules: that they stayed the same, pass checks, and have figures to rank by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure
from eqcli.metrics.work import measure
from eqcli.progress import Reporter
from eqcli.tasks.relax_molecules import RMSD, STRAIN
from eqcli.tasks.relaxed_molecule import Unchanged
from eqcli.tasks.sanitise import dropped_row
from eqcli.tasks.screen_result import DroppedMolecule
from eqcli.tasks.sound_molecule import Unsound
from eqcli.tasks.stability import few_workers

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.metrics.work import Outcome

POSEBUSTERS, UNMEASURED = "posebusters", "not measured"
"""Kinds of reasons beside those of `relaxed_molecule`."""

SPARED = ("internal_energy",)
"""Checks of PoseBusters that are not asked for: a ratio to the energies of conformers by another force field, which
says little of small molecules; what the relaxation released does."""


@dataclass
class Candidates:
    """The molecules that were read, the figures of those still in, and the rows of the others, by place."""

    structures: list[Structure]
    failures: list[Failure]
    figures: dict[int, dict[str, Any]] = field(default_factory=dict)
    dropped: dict[int, DroppedMolecule] = field(default_factory=dict)

    @property
    def left(self) -> list[int]:
        return [item for item in range(len(self.structures)) if item not in self.dropped]

    def drop(self, item: int, kind: str, reason: str, *, failed: bool = False) -> None:
        structure = self.structures[item]
        self.dropped[item] = dropped_row(structure, item, kind, reason)
        if failed:
            self.failures.append(Failure(structure.name, reason, structure.where))


@dataclass
class Work:
    """The checks and measurements of one ranking."""

    found: Candidates
    workers: int | None
    timeout: float | None
    report: Reporter

    def check(self, max_strain: float | None, posebusters: bool) -> list[str]:
        """Drops what changed or fails a check; gives what was asked, in sentences."""
        structures = self.found.structures
        said = [
            "It came to rest in its relaxation.",
            "Its atoms have the bonds that it states and no others, by their distances.",
            "Its SMILES is what it was before, with the stereochemistry of the positions.",
        ]
        if max_strain is not None and any(s.info.get(STRAIN) is not None for s in structures):
            said.append(f"Its relaxation released {max_strain:g} eV or less.")
        elif max_strain is not None:
            self.report.warning(f"nobody has measured the strain of the molecules ('{STRAIN}'): it may be any")
        for item, fault in self._each(Unchanged(max_strain), "check"):
            if isinstance(fault, Unsound):
                self.found.drop(item, fault.kind, fault.reason)
        if posebusters and find_spec("posebusters") is None:
            self.report.warning(
                "posebusters is not installed, and its checks are left out: pip install 'eqcli[molecules]'"
            )
        elif posebusters:
            self._posebusters()
            said.append(f"It passes the checks of PoseBusters, of which `{', '.join(SPARED)}` is not asked for.")
        return said

    def measure_figures(self, xtb: bool) -> None:
        """Puts together the figures of those that are left."""
        from eqcli.io.structure import formula
        from eqcli.metrics.molecules.properties import COUNTS, descriptors_of, xtb_properties_of

        for item in self.found.left:
            structure, info = self.found.structures[item], self.found.structures[item].info
            row = {"smiles": info.get("smiles", ""), "formula": formula(structure.numbers), "n_atoms": len(structure)}
            row |= {name: info[name] for name in ("sample", "seed") if name in info}
            row |= {name: float(info[name]) for name in (STRAIN, RMSD) if info.get(name) is not None}
            row |= {name: value for name, value in info.items() if name.startswith("wanted_")}
            self.found.figures[item] = row | ({} if structure.energy is None else {"energy": structure.energy})
        for function in (descriptors_of, xtb_properties_of) if xtb else (descriptors_of,):
            for item, values in self._each(function, "properties"):
                counted = {name: int(value) if name in COUNTS else value for name, value in values.items()}
                self.found.figures[item] |= counted

    def _posebusters(self) -> None:
        from eqcli.metrics.molecules.checks import checks_of

        for item, checks in self._each(checks_of, "PoseBusters"):
            if failed := [name for name in checks.failed if name not in SPARED]:
                self.found.drop(item, POSEBUSTERS, "fails " + ", ".join(failed))

    def _each(self, function: Callable[[Structure], Any], label: str) -> list[tuple[int, Any]]:
        """What a function says of each molecule that is left; those of which it says nothing are dropped."""
        left = self.found.left
        outcomes: list[Outcome[Any]] = measure(
            function,
            [self.found.structures[item] for item in left],
            workers=few_workers(len(left), self.workers),
            timeout=self.timeout,
            label=label,
            report=self.report,
        )
        for item, outcome in zip(left, outcomes, strict=True):
            if outcome.failure is not None:
                self.found.drop(item, UNMEASURED, f"{label}: {outcome.failure}", failed=True)
        return [(item, o.value) for item, o in zip(left, outcomes, strict=True) if o.failure is None]
