"""One pair of many: registered, kept on the disk, and summed up in a row."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import EqcliError, Failure
from eqcli.tasks.register_rows import TRANSFORMS, PairRecord, PairRow, placed_reason, store

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.tasks.register import Registrar
    from eqcli.tasks.register_request import RegisterRequest
    from eqcli.tasks.register_result import CloudResult
    from eqcli.tasks.register_structures import StructureResult

EVIDENCE = ("matches", "inliers", "expected_by_chance", "overlap", "rmse", "voxel", "runner_up")


class RegisterPair:
    """Registers a pair and keeps the result in a folder; a network is loaded once in each process."""

    def __init__(self, options: RegisterRequest, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self._registrar: Registrar | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self.options, "folder": self.folder, "_registrar": None}

    def __call__(self, item: tuple[str, CloudPair]) -> str:
        """The status of the pair."""
        stem, pair = item
        begin = time.perf_counter()
        common: dict[str, Any] = {"scene": pair.scene, "source": str(pair.source), "target": str(pair.target)}
        try:
            record = _record(pair, stem, self._register(pair), common)
        except EqcliError as error:
            record = PairRecord(PairRow(pair.name, "failed", placed_reason(Failure.of("", error)), **common), {})
        record = replace(record, row=replace(record.row, seconds=round(time.perf_counter() - begin, 4)))
        store(self.folder, stem, record)
        return record.row.status

    def _register(self, pair: CloudPair) -> CloudResult | StructureResult:
        if self._registrar is None:
            import torch

            from eqcli.tasks.register import Registrar

            torch.set_num_threads(self.options.threads or 1)
            self._registrar = Registrar(self.options)
        return self._registrar.register(pair.source, pair.target)


def _record(pair: CloudPair, stem: str, found: CloudResult | StructureResult, common: dict[str, Any]) -> PairRecord:
    result = found.as_dict()
    evidence = result.get("evidence", {"rmse": result.get("rmsd")})
    figures = {name: evidence.get(name) for name in EVIDENCE} | {"method": result.get("method", result["kind"])}
    if not result["reliable"]:
        row = PairRow(pair.name, "no alignment", "; ".join(result["reasons"]), **common, **figures)
        return PairRecord(row, result)
    motion = found.motion
    turn, shift = _errors(np.array(motion["matrix"]), pair, found)
    row = PairRow(
        pair.name, "ok", angle=motion["angle"], rotation_error=turn, translation_error=shift,
        transform=f"{TRANSFORMS}/{stem}.txt", **common, **figures,
    )  # fmt: skip
    return PairRecord(row, result)


def _errors(
    matrix: NDArray[np.float64], pair: CloudPair, found: CloudResult | StructureResult
) -> tuple[float | None, float | None]:
    """Degrees and length by which a motion misses the truth, or the nearest of its symmetric likes."""
    if pair.truth is None:
        return None, None
    from eqcli.metrics.registration.errors import motion_errors, nearest_truth
    from eqcli.tasks.register_result import CloudResult

    truth = pair.truth
    if isinstance(found, CloudResult):
        points = found.source.points
        truth = nearest_truth(matrix, truth, pair.symmetries, points[np.isfinite(points).all(axis=1)])
    errors = motion_errors(matrix, truth)
    return errors.rotation, errors.translation
