"""What is asked of a registration of many pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eqcli.errors import InputError
from eqcli.tasks.register_request import RegisterRequest


@dataclass(frozen=True)
class PairsRequest:
    """What is asked of a registration of many pairs.

    Attributes
    ----------
    pairs
        A table or folder of pairs, as `data.cloud_pairs.find_pairs` reads it.
    options
        How each is registered; its own source and target are not used.
    pose_graph, reference
        Whether all clouds are brought into one frame, and the cloud whose frame it is.
    merged
        File for all clouds of that frame as one, thinned to a voxel.
    workers
        Processes; None for one per core.
    """

    pairs: Path
    options: RegisterRequest
    pose_graph: bool = False
    reference: str | None = None
    merged: Path | None = None
    workers: int | None = None

    def check(self) -> None:
        """Raises InputError for options that contradict each other or lack something."""
        self.options.check()
        for name, value in (("--reference", self.reference), ("--merged", self.merged)):
            if value is not None and not self.pose_graph:
                raise InputError(f"{name}: for clouds in one frame", hint="Add --pose-graph.")
        if self.options.start is not None:
            raise InputError("--start: for a single pair", hint="Leave it out.")
