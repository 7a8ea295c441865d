"""What a task does with the items of a chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.tasks.stream.chunk_file import ChunkFile
    from eqcli.tasks.stream.item import Item
    from eqcli.tasks.stream.request import StreamRequest

SAID = 100
"""Items of a request, the first ones, of which each has a message; progress speaks for the others."""


class Processor(Protocol):
    """Does items; opened once in each process.

    Attributes
    ----------
    device, precision
        Where and how, in words.
    budget
        What a batch may hold, as plain data; the first process that works on a kind of device measures
        it, and `budget` is set to what that found in all later ones. None where nothing is measured.
    """

    device: str
    precision: str

    @property
    def budget(self) -> Any: ...

    @budget.setter
    def budget(self, facts: Any) -> None: ...

    def process(self, items: Sequence[Item], chunk: ChunkFile, report: Reporter) -> None:
        """Adds to `chunk` a result or a failure of each of `items`: the readable ones that are not done.

        It is called without items, too, where a killed process had done all of a chunk. It sets `chunk.figures`
        as if it had done the whole chunk, whatever was done before; `chunk.results` has what was. `report` hears of
        each result as it comes.
        """


PROCESSORS: dict[str, tuple[str, str]] = {
    "predict": ("eqcli.tasks.predict_chunks", "open_predict"),
    "relax": ("eqcli.tasks.relax_chunks", "open_relax"),
    "move": ("eqcli.tasks.move_chunks", "open_move"),
    "generate": ("eqcli.tasks.generate_chunks", "open_generate"),
}
"""Module and name of the function that opens the processor of each task, from a request."""


def open_processor(request: StreamRequest) -> Processor:
    """The processor of a request, its model loaded. Raises InputError where the request cannot be carried out."""
    module, name = PROCESSORS[request.task]
    opened: Callable[[StreamRequest], Processor] = getattr(import_module(module), name)
    return opened(request)
