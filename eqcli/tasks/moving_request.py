"""What relaxations and dynamics of structures from files are asked for alike."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.guest_name import is_guest
from eqcli.errors import InputError, Where
from eqcli.tasks.inference import inference_provenance, readable_files, refuse_unwritable
from eqcli.tasks.pilot import ModelPilot
from eqcli.tasks.stream.chunk_sizes import chunk_limits
from eqcli.tasks.stream.division import AUTO, Workers
from eqcli.tasks.stream.items import open_items
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.run import Stream, run_stream
from eqcli.tasks.stream.work_folder import WorkFolder

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.io.structure import Structure
    from eqcli.progress import Reporter
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.stream.result import StreamResult


@dataclass(frozen=True)
class MovingRequest:
    """A request to move structures, whatever moves them; see `relax` for the meaning of each.

    Attributes
    ----------
    task
        `relax` or `move`.
    """

    task: str
    model: Path
    inputs: Sequence[Path]
    output: Path | None
    trajectory: Path | None = None
    device: str = "auto"
    precision: str = "float64"
    model_arguments: Mapping[str, Scalar] = field(default_factory=dict)
    compile: bool = False
    batch_atoms: int | None = None
    overwrite: bool = False
    resume: bool = False
    workers: Workers = AUTO
    cluster: ClusterRecipe | None = None

    def stream_request(self, settings: Mapping[str, Any]) -> StreamRequest:
        """The request in chunks of a size that suits the device. Raises InputError for files that cannot be used."""
        sources = readable_files(self.inputs)
        self._refuse_existing_files(sources)
        items, atoms = chunk_limits(self.task, self.model, self.device, self.cluster)
        # The default is no wish that a calculator of another package would have to be told of.
        precision = None if is_guest(self.model) and self.precision == "float64" else self.precision
        given = {
            **settings,
            "precision": precision,
            "model_arguments": dict(self.model_arguments),
            "compile": self.compile,
            "batch_atoms": self.batch_atoms,
            "trajectory": None if self.trajectory is None else str(self.trajectory),
        }
        fits = None if self.output is None else Path(self.output)
        return StreamRequest(
            self.task, tuple(sources), given, str(self.model), self.device, fits=fits, max_items=items, max_atoms=atoms
        )

    def run(self, request: StreamRequest, processor: Any, report: Reporter, *, steps: int) -> StreamResult:
        """Does the request, of about so many steps of each structure; the output goes nowhere where that is None."""
        stress = "stress" in processor.loaded.potential.outputs
        stream = Stream(
            Path(self.output or ""),
            inference_provenance(processor.loaded),
            processor,
            trajectory=self.trajectory,
            workers=self.workers,
            cluster=self.cluster,
            pilot=ModelPilot(processor.loaded, steps, stress=stress, moving=True),
            resume=self.resume,
            overwrite=self.overwrite,
            label=self.task,
        )
        if self.output is not None:
            return run_stream(request, stream, report)
        with tempfile.TemporaryDirectory() as folder:
            found = run_stream(request, replace(stream, output=Path(folder) / "output.h5", resume=False), report)
            return replace(found, output=None, table=None)

    def _refuse_existing_files(self, sources: Sequence[Path]) -> None:
        """Raises InputError, before any work, for files that cannot be written."""
        output, trajectory = self.output, self.trajectory
        going_on = output is not None and self.resume and WorkFolder.of(Path(output)).exists
        refuse_unwritable(output, sources, self.overwrite or going_on)
        if trajectory is None:
            return
        refuse_unwritable(trajectory, sources, self.overwrite or going_on)
        _refuse_several(trajectory)
        if output is not None and Path(output).resolve() == Path(trajectory).resolve():
            raise InputError("the trajectory and the output cannot be the same file", Where(trajectory))


def first_structures(request: StreamRequest, outputs: Sequence[Path | None]) -> tuple[list[Structure], bool]:
    """The structures at the beginning of a request, and whether there is one and nothing else.

    Raises InputError where there are several and one of `outputs` has a format that holds one.
    """
    # Whether they fit the format of the output is seen later, for each by itself.
    chunks = open_items(replace(request, fits=None)).chunks()
    first = next(chunks, None)
    items = [] if first is None else first.load()
    several = next(chunks, None) is not None
    found = [item.structure for item in items if not isinstance(item.structure, InputError)]
    for path in outputs:
        if path is not None and (several or len(found) > 1):
            _refuse_several(path)
    return found, len(items) == len(found) == 1 and not several


def check_only(structure: Structure, processor: Any) -> None:
    """Raises InputError where the only structure of a request cannot be moved: then the request cannot be met."""
    try:
        processor.check(structure)
    except InputError as error:
        raise replace(error, where=structure.where) from error


def _refuse_several(path: Path) -> None:
    """Raises InputError for a format that holds one structure."""
    from eqcli.io.formats import FORMATS, format_of

    if not FORMATS[format_of(path)].many:
        raise InputError(
            f"a {format_of(path)} file holds one structure, and there are several to write",
            Where(path),
            "Write an .extxyz, .cif or .h5 file.",
        )
