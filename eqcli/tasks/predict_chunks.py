"""Predictions of a chunk of structures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError
from eqcli.progress import Reporter
from eqcli.tasks.predict_figures import PredictFigures

if TYPE_CHECKING:
    from eqcli.engine.likelihood_predictor import LikelihoodPredictor
    from eqcli.engine.predictor import Predictor
    from eqcli.io.structure import Structure
    from eqcli.tasks.stream.chunk_file import ChunkFile
    from eqcli.tasks.stream.item import Item
    from eqcli.tasks.stream.request import StreamRequest


class PredictProcessor:
    """Batches filled in order and committed whole: a killed chunk goes on with the batches it would have had.

    Parameters
    ----------
    predictor
        What gives the predictions, in the order of the structures.
    device, precision
        In words.
    """

    def __init__(self, predictor: Predictor | LikelihoodPredictor, device: str, precision: str) -> None:
        self.predictor = predictor
        self.device = device
        self.precision = precision

    @property
    def budget(self) -> Any:
        """What a batch may hold, as plain data."""
        return self.predictor.budget.facts()

    @budget.setter
    def budget(self, facts: Any) -> None:
        self.predictor.budget.take_up(facts)

    def process(self, items: Sequence[Item], chunk: ChunkFile, report: Reporter) -> None:
        """See `stream.processor.Processor`."""
        self.predictor.budget.report = report
        figures = PredictFigures([p.name for p in self.predictor.properties])
        for _, structure in chunk.results():
            figures.add(structure)
        numbers = iter(items)
        given = (item.structure for item in items if not isinstance(item.structure, InputError))
        with closing(self.predictor.batches(given, ahead=True)) as batches:
            for batch in batches:
                done = 0
                for item, (_, outcome) in zip(islice(numbers, len(batch)), batch, strict=True):
                    if (error := _kept(item, outcome, chunk, figures)) is not None:
                        chunk.fail(item, Failure.of(item.name, error).reason)
                    else:
                        done += 1
                report.advance(done)
                chunk.commit_in_time()
        chunk.commit()
        chunk.figures = figures.as_dict()


def _kept(item: Item, outcome: Structure | InputError, chunk: ChunkFile, figures: PredictFigures) -> InputError | None:
    """Adds a prediction, or gives the reason why there is none."""
    if isinstance(outcome, InputError):
        return outcome
    try:
        chunk.add(item.number, outcome)
    except InputError as error:
        return error
    figures.add(outcome)
    return None


def open_predict(request: StreamRequest) -> PredictProcessor:
    """The processor of a request in a process of its own; see `predict.predict` for what can be wrong."""
    from pathlib import Path

    from eqcli.tasks.inference import load_for_inference, runs_in
    from eqcli.tasks.predict import predictor_of

    settings = request.settings
    loaded = load_for_inference(
        Path(str(request.model)), request.device, settings["precision"], settings["model_arguments"]
    )
    if settings["compile"]:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    return PredictProcessor(predictor_of(loaded, settings["stress"], settings["batch_atoms"]), *runs_in(loaded))
