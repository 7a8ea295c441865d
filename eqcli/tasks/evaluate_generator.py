"""What a generator of molecules says of given molecules: its bound on their likelihood, or its loss."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import ExitCode, Failure, InputError
from eqcli.progress import Reporter
from eqcli.tasks.inference import inference_provenance, read_all, readable_files

if TYPE_CHECKING:
    from eqcli.engine.bound_evaluator import MoleculeTerms
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.conventions import LabelConvention

TABLE: Final = "molecules.csv"
"""Beside the report: the terms of every molecule."""


@dataclass
class GeneratorEvaluation:
    """What a generator of molecules says of given ones.

    Attributes
    ----------
    kind
        `bound`: an upper bound on -log p(molecule), in nats; `loss`: terms of the training loss, where no bound is
        known.
    figures
        `molecules`, and for each of the `terms` its mean with the bounds of a 95 % interval; of a bound also the mean
        `per_atom`, and `unknown_size`: molecules of a number of atoms that did not occur in training, whose bound is
        infinite and in no mean of `size` and `total`.
    """

    output: Path
    report_html: Path
    report_json: Path
    table: Path
    kind: str
    figures: dict[str, Any]
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when anything failed, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        from eqcli.report.write import finite

        plain: dict[str, Any] = finite(
            {
                "output": str(self.output),
                "report_html": str(self.report_html),
                "report_json": str(self.report_json),
                "table": str(self.table),
                "kind": self.kind,
                "figures": self.figures,
                "failures": [failure.as_dict() for failure in self.failures],
                "warnings": self.warnings,
                "seconds": self.seconds,
                "exit_code": int(self.exit_code),
            }
        )
        return plain

    def summary(self) -> list[tuple[str, str]]:
        from eqcli.report.generator_terms import TITLES, spread
        from eqcli.report.numbers import count

        rows = [("molecules", f"{self.figures['molecules']:,}")]
        rows += [(TITLES.get(name, name), spread(term)) for name, term in self.figures["terms"].items()]
        if self.failures:
            rows.append(("failed", count(len(self.failures), "molecule")))
        return [*rows, ("report", str(self.report_html))]


def evaluate_generator(
    loaded: ModelFile,
    data: Sequence[Path],
    output: Path,
    *,
    labels: LabelConvention | None,
    seed: int,
    steps: int | None = None,
    report: Reporter,
) -> GeneratorEvaluation:
    """Asks a generator of molecules how likely the molecules of files are.

    Parameters
    ----------
    steps
        Network calls for each molecule; None is `eqcli.engine.bound_evaluator.STEPS`.

    Raises
    ------
    InputError
        There are no files, or none of their molecules can be used.
    """
    from eqcli.engine.bound_evaluator import STEPS, BoundEvaluator
    from eqcli.models.molecules.base import MoleculeGenerator
    from eqcli.report.write import DATA, PAGE

    if not data:
        hint = "Name a file of molecules; what the model generates is evaluated with --reference."
        raise InputError("a generator of molecules is evaluated on molecules, and none were given", hint=hint)
    assert isinstance(loaded.model, MoleculeGenerator)
    begun = time.monotonic()
    sources = readable_files(data)
    evaluator = BoundEvaluator(loaded.model.eval(), steps=steps or STEPS, seed=seed)
    kind = "bound" if evaluator.bounded else "loss"
    result = GeneratorEvaluation(output, output / PAGE, output / DATA, output / TABLE, kind, {})
    rows: list[MoleculeTerms] = []
    report.start("evaluate", None, "molecules")
    for row in evaluator.evaluate(read_all(sources, labels, result.failures.append), result.failures.append):
        rows.append(row)
        report.advance(1)
    report.finish()
    if not rows:
        first = result.failures[0] if result.failures else Failure("", "the files hold no molecules")
        raise InputError(f"no molecule could be evaluated: {first.reason}", first.where)
    result.figures = term_figures(rows, seed=seed)
    result.warnings = _warnings(result)
    for warning in result.warnings:
        report.warning(warning)
    result.seconds = time.monotonic() - begun
    _write(result, loaded, sources, rows, evaluator.steps or 0)
    return result


def term_figures(rows: Sequence[MoleculeTerms], *, seed: int = 0) -> dict[str, Any]:
    """Means of the terms over the molecules where they are finite, with 95 % intervals over molecules."""
    import numpy as np

    from eqcli.metrics.statistics import mean_of_known_interval, ratio_interval

    terms = {}
    for name in rows[0].terms:
        values = np.array([row.terms[name] for row in rows])
        terms[name] = mean_of_known_interval(values, seed=seed)._asdict()
    figures: dict[str, Any] = {"molecules": len(rows), "terms": terms}
    if "total" in terms:
        known = [row for row in rows if math.isfinite(row.terms["total"])]
        totals, atoms = [row.terms["total"] for row in known], [float(row.atoms) for row in known]
        figures["per_atom"] = ratio_interval(totals, atoms, seed=seed)._asdict()
        figures["unknown_size"] = sum(math.isinf(row.terms["size"]) for row in rows)
    return figures


def refuse_audit(audit: bool | Sequence[str]) -> None:
    """Raises InputError where an audit was asked for by name."""
    if not isinstance(audit, bool):
        raise InputError("a generator of molecules has no audit", hint="Leave out --audit.")


def _warnings(result: GeneratorEvaluation) -> list[str]:
    if unknown := result.figures.get("unknown_size"):
        return [
            f"{unknown} of {result.figures['molecules']} molecules have a number of atoms that did not occur in "
            "training: their bound is infinite, and the means of the size and of the total leave them out"
        ]
    return []


def _write(
    result: GeneratorEvaluation, loaded: ModelFile, sources: Sequence[Path], rows: Sequence[MoleculeTerms], steps: int
) -> None:
    from eqcli.files import atomic_path, sha256
    from eqcli.report.csv_text import csv_text
    from eqcli.report.generator_terms import terms_page
    from eqcli.report.write import write_report

    facts = inference_provenance(loaded)
    data = [{"file": str(path), "sha256": sha256(path)} for path in sources]
    content = result.as_dict() | {"steps": steps, "data": data}
    header = loaded.header
    recipe: Mapping[str, Any] = (header.get("training") or {}).get("recipe") or {}
    model = {
        "name": recipe.get("name") or (loaded.path or Path("model")).name,
        "file": facts["model"]["path"],
        "sha256": facts["model"]["sha256"],
        "parameters": f"{header.get('parameters', 0):,}",
        "configuration": header["config"],
    }
    provenance = {key: value for key, value in facts.items() if key != "model"}
    page = terms_page(content, model, provenance)
    with atomic_path(result.table) as temporary:
        table = [{"molecule": row.name, "atoms": row.atoms, **row.terms} for row in rows]
        temporary.write_text(csv_text(table), encoding="utf-8")
    whole = {**content, "model": {**facts["model"], "header": header}, "provenance": facts}
    write_report(result.output, page, whole, [])
