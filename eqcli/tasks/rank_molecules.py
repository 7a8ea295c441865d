"""Ranking of relaxed molecules: what did not stay the same is dropped, the best of the others come first."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eqcli.errors import InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import read_all, readable_files
from eqcli.tasks.rank_molecules_checks import UNMEASURED, Candidates, Work
from eqcli.tasks.rank_molecules_result import RankMoleculesResult
from eqcli.tasks.relax_molecules import RMSD, STRAIN
from eqcli.tasks.screen_result import SURPLUS, UNREADABLE, DroppedMolecule

if TYPE_CHECKING:
    pass

Best = Literal["highest", "lowest", "nearest"]


def rank_molecules(
    inputs: Sequence[Path],
    output: Path,
    *,
    by: str = "qed",
    best: Best = "highest",
    target: float | None = None,
    n: int | None = None,
    max_strain: float | None = 5.0,
    posebusters: bool = True,
    xtb: bool = False,
    earlier: Sequence[Path] = (),
    workers: int | None = None,
    timeout: float | None = 60.0,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> RankMoleculesResult:
    """Drops relaxed molecules that are no longer what they were, and ranks the others by one of their figures.

    The molecules are those of `relax_molecules`. A ranked one came to rest, has the bonds that it states and no others
    by the distances of its atoms, has the SMILES it had with its stereochemistry, released no more than `max_strain`,
    and passes the checks of PoseBusters, except `SPARED`.

    Parameters
    ----------
    output
        Folder that receives `ranked.sdf`, `ranked.csv`, `dropped.csv`, the page `index.html` and a gallery.
    by, best, target
        The figure and which value of it is the best: a property of `metrics.molecules.properties`, `strain` or
        `relax_rmsd`; `nearest` is to `target`.
    n
        Most molecules to rank; all when None.
    max_strain
        eV; None for any.
    posebusters
        Whether PoseBusters checks the molecules. Where it is not installed a warning says that it does not.
    xtb
        Whether gap and dipole are computed by GFN2-xTB.
    earlier
        Tables of what earlier tasks dropped; their counts are on the page.
    workers, timeout
        Processes, and seconds that one measurement of one molecule may take.

    Raises
    ------
    InputError
        A file cannot be used, the output exists, or no molecule has the figure `by`.
    MissingDependency
        `xtb` is asked for and tblite is not installed.
    """
    from eqcli.report.write import refuse_report
    from eqcli.tasks.rank_molecules_files import write_ranking

    report, output = report or Silent(), Path(output)
    _refuse_request(by, best, target, n, xtb)
    sources = readable_files(inputs)
    refuse_report(output, overwrite)
    before = {Path(path).parent.name: _kinds(Path(path)) for path in earlier}
    found = Candidates([], [])
    found.structures = list(read_all(sources, None, found.failures.append))
    unread = [DroppedMolecule(None, None, "", UNREADABLE, f"{f.item}: {f.reason}") for f in found.failures]
    if not found.structures and not unread:
        raise InputError("there are no molecules in " + ", ".join(str(path) for path in sources))
    work = Work(found, workers, timeout, report)
    asked = work.check(max_strain, posebusters)
    work.measure_figures(xtb)
    order = _ordered(found, by, best, target)
    for item in order[n:] if n is not None else ():
        found.drop(item, SURPLUS, f"{n} are ranked, and better ones come first")
    ranked = [{"rank": k, **found.figures[item]} for k, item in enumerate(order[:n], 1)]
    rows = [found.dropped[item] for item in sorted(found.dropped)] + unread
    words = best if target is None else f"nearest to {target:g}"
    result = write_ranking(
        output, [found.structures[item] for item in order[:n]], ranked, rows, by, words, before, asked
    )
    result.failures = found.failures
    return result


def _refuse_request(by: str, best: str, target: float | None, n: int | None, xtb: bool) -> None:
    """Raises before any work for what cannot be asked."""
    from eqcli.metrics.molecules.properties import UNITS
    from eqcli.metrics.molecules.xtb import require_tblite

    if n is not None and n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    if (best == "nearest") != (target is not None):
        raise InputError("the nearest needs a target, and a target asks for the nearest", hint="Give both or neither.")
    known = [*UNITS, STRAIN, RMSD]
    if by not in known:
        raise InputError(f"molecules have no figure '{by}'", hint=did_you_mean(by, known, "figures"))
    if by in ("gap", "dipole", "dipole_debye", "energy_per_atom") and not xtb:
        raise InputError(f"'{by}' is computed by GFN2-xTB alone", hint="Set `xtb: true`.")
    if xtb:
        require_tblite()


def _ordered(found: Candidates, by: str, best: Best, target: float | None) -> list[int]:
    """The places of those that are left, the best first; what lacks the figure is dropped."""
    left = found.left
    if left and all(found.figures[item].get(by) is None for item in left):
        raise InputError(f"no molecule has the figure '{by}'", hint="Rank the molecules that `relax-molecules` wrote.")
    for item in left:
        if found.figures[item].get(by) is None:
            found.drop(item, UNMEASURED, f"it has no '{by}'", failed=True)

    def merit(item: int) -> tuple[float, int]:
        value = float(found.figures[item][by])
        return {"highest": -value, "lowest": value, "nearest": abs(value - (target or 0.0))}[best], item

    return sorted(found.left, key=merit)


def _kinds(path: Path) -> Mapping[str, int]:
    """Counts of a table of what was dropped, by kind of reason."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return Counter(row["kind"] for row in csv.DictReader(file))
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("this is no table of what was dropped", Where(path)) from error
