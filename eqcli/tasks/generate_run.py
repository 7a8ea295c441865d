"""A generation that is under way: a file that grows batch by batch, and goes on where a stopped one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eqcli.errors import Failure, InputError, Where
from eqcli.files import refuse_existing
from eqcli.progress import Reporter
from eqcli.tasks.generate_request import same_request
from eqcli.tasks.generate_result import GenerateResult

if TYPE_CHECKING:
    from eqcli.io.store_writer import DatasetWriter
    from eqcli.io.structure import Structure


class Wish(Protocol):
    """One structure to be made."""

    @property
    def sample(self) -> int:
        """Its number within the run, from 0."""
        ...


class Sampler(Protocol):
    """What makes the structures of wishes, batch by batch."""

    calls: int | None

    def sample(
        self, wishes: Sequence[Any], on_failure: Callable[[Failure], None], *, after: int = -1
    ) -> Iterator[list[Structure]]:
        """The structures of all wishes whose number is above `after`."""
        ...


class GenerationRun:
    """One call: the file that grows, and what becomes of it.

    Parameters
    ----------
    output
        Of any format that io writes.
    sampler
        What makes structures.
    flags_of
        Words on what is wrong with a structure that is kept all the same.
    provenance
        Of the output; what was asked for is its entry `generation`.
    """

    def __init__(
        self,
        output: Path,
        sampler: Sampler,
        flags_of: Callable[[Structure], Sequence[str]],
        provenance: Mapping[str, Any],
        result: GenerateResult,
        report: Reporter,
    ) -> None:
        self.output = output
        self.partial = partial_file(output)
        self.sampler = sampler
        self.result = result
        self.report = report
        self.flags_of = flags_of
        self.provenance = dict(provenance)

    def run(self, wishes: Sequence[Wish], *, resume: bool, overwrite: bool) -> None:
        """Makes what is missing and puts the output in its place."""
        if self.partial.is_file() and not resume:
            if not overwrite:
                raise InputError(
                    "an unfinished generation is here",
                    Where(self.partial),
                    "Add --resume to go on with it, or --overwrite to start again.",
                )
            self.partial.unlink()
        done = self._done(wishes) if self.partial.is_file() else 0
        self.report.start("generate", len(wishes), "structures")
        try:
            self.report.advance(done)
            self._make(wishes, done)
        except BaseException:
            with suppress(OSError):
                self._drop_if_empty()
            raise
        finally:
            self.report.finish()
        if not self.result.structures:
            self.partial.unlink(missing_ok=True)
            raise InputError("no structure came out of this generation", hint=self._reason())
        self._finish(overwrite or resume)

    def _done(self, wishes: Sequence[Wish]) -> int:
        """How many wishes an earlier call has dealt with; counts their structures. Raises InputError for others."""
        from eqcli.io.store import DatasetFile

        with DatasetFile(self.partial) as file:
            same_request(file.provenance, self.provenance, self.partial)
            made = list(file)
        self.result.resumed = len(made)
        for structure in made:
            self.result.add(structure)
        if not made:
            return 0
        last = int(made[-1].info["sample"])
        known = {int(s.info["sample"]) for s in made}
        for wish in wishes[: last + 1]:
            if wish.sample not in known:
                reason = "nothing that can be written came out, in an earlier call"
                self.result.failures.append(Failure(f"sample {wish.sample}", reason))
        self.report.message(f"going on after structure {last + 1}")
        return last + 1

    def _make(self, wishes: Sequence[Wish], done: int) -> None:
        from eqcli.io.store_writer import DatasetWriter

        if done == len(wishes):
            return
        with DatasetWriter(self.partial, append=True, provenance=self.provenance) as writer:
            for structures in self.sampler.sample(wishes, self.result.failures.append, after=done - 1):
                self._keep(structures, writer)
        self.result.calls = self.sampler.calls

    def _keep(self, structures: list[Structure], writer: DatasetWriter) -> None:
        for structure in structures:
            if flags := self.flags_of(structure):
                structure.info["flags"] = ",".join(flags)
            writer.append(structure)
            self.result.add(structure)
        writer.commit()
        self.report.advance(len(structures))

    def _drop_if_empty(self) -> None:
        """An unfinished file that holds nothing is no use to anybody."""
        if not self.result.structures:
            self.partial.unlink(missing_ok=True)

    def _finish(self, overwrite: bool) -> None:
        from eqcli.io import read_structures, write_structures
        from eqcli.io.formats import Format, writable_format
        from eqcli.tasks.fitting import fitting

        if writable_format(self.output) is Format.DATASET:
            refuse_existing(self.output, overwrite)
            self.partial.replace(self.output)
            return

        kept = fitting(self.output, read_structures(self.partial), self.result.failures.append, self.report)
        write_structures(self.output, kept, overwrite=overwrite, provenance=self.provenance)
        self.partial.unlink()

    def _reason(self) -> str:
        return self.result.failures[0].reason if self.result.failures else ""


def partial_file(output: Path) -> Path:
    """Where structures are while the output is not complete."""
    return output.with_name(f"{output.name}.partial.h5")
