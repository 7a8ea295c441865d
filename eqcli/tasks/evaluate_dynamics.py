"""Accuracy of a model of motion, and an audit of its symmetry."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure, InputError, Where
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.audit.result import AuditReport
    from eqcli.data.particles import ParticleSet
    from eqcli.engine.model_file import ModelFile

SYSTEMS_AT_ONCE = 500
GROUP = "equivariance"
"""The one group of audits that a model of motion has."""


@dataclass
class DynamicsEvaluation:
    """What an evaluation of a model of motion found.

    Attributes
    ----------
    source
        What the systems are, in words.
    figures
        `systems`, and errors (`mse`, `rmse`, `mae` of the coordinates) of the `model` and of what needs no model:
        `linear` and `still`.
    """

    output: Path
    report_html: Path
    report_json: Path
    source: str
    figures: dict[str, Any]
    audit: AuditReport | None = None
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """AUDIT_FAILED when a symmetry does not hold, else OK."""
        return ExitCode.AUDIT_FAILED if self.audit is not None and not self.audit.passed else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "report_html": str(self.report_html),
            "report_json": str(self.report_json),
            "source": self.source,
            "figures": self.figures,
            "audit": self.audit.as_dict() if self.audit else None,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        from eqcli.report.numbers import show

        rows = [("systems", f"{self.figures['systems']:,}, {self.source}")]
        rows += [
            (title, show(self.figures[name]["mse"]))
            for name, title in (
                ("model", "positions MSE"),
                ("linear", "on straight lines"),
                ("still", "without motion"),
            )
        ]
        if self.audit is not None:
            failed = ", ".join(check.tolerance.title for check in self.audit.failed)
            rows.append(("audit", f"FAILED: {failed}" if failed else "passed" if self.audit.checks else "not made"))
        return [*rows, ("report", str(self.report_html))]


def evaluate_dynamics(
    loaded: ModelFile,
    data: Sequence[Path],
    output: Path,
    *,
    audit: bool | Sequence[str],
    audit_systems: int,
    seed: int,
    report: Reporter,
) -> DynamicsEvaluation:
    """Compares a model of motion with trajectories, by default the test systems of its own training.

    Raises
    ------
    InputError
        A file cannot be used or has other systems than the model was made for, or there are none to use.
    """
    from eqcli.metrics.motion import baselines, position_errors
    from eqcli.models.dynamics.base import DynamicsModel
    from eqcli.report.write import DATA, PAGE

    if not isinstance(audit, bool) and not {GROUP, "all"} & set(audit):
        raise InputError(f"a model of motion has no other audit than '{GROUP}'", hint=f"Give --audit {GROUP}.")
    assert isinstance(loaded.model, DynamicsModel)
    begun = time.monotonic()
    systems, source = _systems(loaded, data, report)
    _require_fitting(loaded, systems, data)
    figures = {
        "systems": len(systems),
        "model": position_errors(predict_positions(loaded.model, systems), systems.target),
        **baselines(systems, systems),
    }
    result = DynamicsEvaluation(output, output / PAGE, output / DATA, source, figures)
    if audit is not False:
        from eqcli.audit.motion import audit_motion

        result.audit = audit_motion(
            loaded.model, systems, count=audit_systems, seed=seed, precision=loaded.header["precision"]
        )
    result.seconds = time.monotonic() - begun
    _write(result, loaded)
    return result


def predict_positions(model: Any, systems: ParticleSet) -> Any:
    """Predicted positions of all systems, `[S, N, n]` float64."""
    import numpy as np
    import torch

    from eqcli.data.particle_batches import ParticleLoader

    device = next(model.parameters()).device
    rows = range(len(systems))
    batches = [list(rows[first : first + SYSTEMS_AT_ONCE]) for first in range(0, len(rows), SYSTEMS_AT_ONCE)]
    with torch.no_grad():
        found = [model(batch.to(device)).cpu().double() for batch in ParticleLoader(systems, batches, model.dtype)]
    return np.asarray(torch.cat(found)).reshape(systems.positions.shape)


def _systems(loaded: ModelFile, data: Sequence[Path], report: Reporter) -> tuple[ParticleSet, str]:
    """The systems of the files, or those that the training kept for the test; and what they are."""
    from eqcli.data.particles import joined
    from eqcli.data.prepare_particles import simulate_part
    from eqcli.data.trajectories import read_trajectories

    settings = (loaded.header.get("training") or {}).get("settings") or {}
    section = settings.get("data") or {}
    if data:
        frames = section.get("from_frame", 0), section.get("to_frame", 1)
        return joined([read_trajectories(path).pairs(*frames) for path in data]), ", ".join(path.name for path in data)
    if section.get("system") is None or not section.get("test"):
        raise InputError(
            "the training of this model kept no simulated systems for a test",
            Where(loaded.path),
            "Name a file of trajectories.",
        )
    report.start("simulating", section["test"], "systems")
    try:
        test = simulate_part(section, "test", settings["seed"], report.advance)
        return test, f"the test part of {section['system']}"
    finally:
        report.finish()


def _require_fitting(loaded: ModelFile, systems: ParticleSet, data: Sequence[Path]) -> None:
    """Raises InputError for systems with other inputs than the model takes."""
    wanted = loaded.header["inputs"]
    given = {"node_features": systems.features.shape[2], "edge_features": int(systems.charges is not None)}
    if given != wanted:
        raise InputError(
            f"the model takes {_words(wanted)}, and these systems have {_words(given)}",
            Where(data[0] if data else None),
        )


def _words(inputs: dict[str, int]) -> str:
    return f"{inputs['node_features']} features and {'charges' if inputs['edge_features'] else 'no charges'}"


def _write(result: DynamicsEvaluation, loaded: ModelFile) -> None:
    from eqcli.report.motion import motion_page
    from eqcli.report.write import finite, write_report
    from eqcli.tasks.inference import inference_provenance

    facts = inference_provenance(loaded)
    header = loaded.header
    recipe = (header.get("training") or {}).get("recipe") or {}
    model = {
        "name": recipe.get("name") or (loaded.path or Path("model")).name,
        "file": facts["model"]["path"],
        "sha256": facts["model"]["sha256"],
        "parameters": f"{header.get('parameters', 0):,}",
        "configuration": header["config"],
    }
    content = finite(result.as_dict())
    provenance = {key: value for key, value in facts.items() if key != "model"}
    page = motion_page(content, model, provenance)
    write_report(
        result.output, page, {**content, "model": {**facts["model"], "header": header}, "provenance": facts}, []
    )
