"""The task behind each step of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eqcli.errors import InputError
from eqcli.progress import Reporter
from eqcli.tasks.pipeline_state import PlannedStep

RESUMABLE = ("train", "predict", "relax", "generate", "evaluate-crystals", "relax-molecules", "dock", "register")
"""Tasks that go on where a killed run stopped."""


def call(
    step: PlannedStep, arguments: dict[str, Any], folder: Path, device: str, resume: bool, report: Reporter
) -> Any:
    """Calls the task of a step with its files in `folder`; what is there belongs to the step and is replaced."""
    if step.task == "train":
        from eqcli.tasks.train import train

        return train(arguments["recipe"], folder, device=device, resume=resume, overwrite=not resume, report=report)
    folder.mkdir(parents=True, exist_ok=True)
    common: dict[str, Any] = {"report": report, "overwrite": True}
    if step.task == "generate":
        return _generate(arguments, folder, resume, common | {"device": device})
    if step.task in ("screen", "evaluate-crystals", "rank"):
        return _crystals(step.task, arguments, folder, resume, common)
    if step.task == "evaluate-molecules":
        return _evaluate_molecules(arguments, folder, common)
    if step.task in ("sanitise", "relax-molecules", "rank-molecules"):
        return _molecules(step.task, arguments, folder, resume, common | {"device": device})
    if step.task in ("dock", "evaluate-docking"):
        return _docking(step.task, arguments, folder, resume, device, report)
    if step.task == "register":
        return _register(arguments, folder, resume, device, report)
    if step.task == "generate-pairs":
        return _generate_pairs(arguments, folder, report)
    return _potentials(step.task, arguments, folder, resume, common | {"device": device})


def _generate(arguments: dict[str, Any], folder: Path, resume: bool, common: dict[str, Any]) -> Any:
    from eqcli.tasks.generate import generate

    model, output = Path(arguments.pop("model")), folder / arguments.pop("output")
    for name in ("composition_of", "refine", "scaffold"):
        if arguments[name] is not None:
            arguments[name] = Path(arguments[name])
    return generate(model, output, resume=resume, **arguments, **common)


def _crystals(task: str, arguments: dict[str, Any], folder: Path, resume: bool, common: dict[str, Any]) -> Any:
    """Steps that choose among crystals."""
    if task == "screen":
        from eqcli.tasks.screen import screen

        inputs, output = _paths(arguments.pop("inputs")), folder / arguments.pop("output")
        return _kept(screen(inputs, output, known=_paths(arguments.pop("known")), **arguments, **common))
    if task == "rank":
        from eqcli.tasks.rank import rank

        return rank(_paths(arguments.pop("inputs")), folder, **arguments, **common)
    from eqcli.tasks.evaluate_crystals import evaluate_crystals

    if not resume:
        from eqcli.tasks.stability import start_over

        start_over(folder / "stability")
    generated, reference = _paths(arguments.pop("generated")), Path(arguments.pop("reference"))
    training, hull = arguments.pop("training"), _paths(arguments.pop("hull"))
    known = Path(training) if training else None
    return evaluate_crystals(generated, reference, folder, training=known, hull=hull, **arguments, **common)


def _evaluate_molecules(arguments: dict[str, Any], folder: Path, common: dict[str, Any]) -> Any:
    from eqcli.tasks.evaluate_molecules import evaluate_molecules

    generated, reference = _paths(arguments.pop("generated")), Path(arguments.pop("reference"))
    training = arguments.pop("training")
    return evaluate_molecules(
        generated, reference, folder, training=Path(training) if training else None, **arguments, **common
    )


def _molecules(task: str, arguments: dict[str, Any], folder: Path, resume: bool, common: dict[str, Any]) -> Any:
    """Steps that choose among molecules."""
    inputs = _paths(arguments.pop("inputs"))
    if task == "relax-molecules":
        from eqcli.tasks.relax_molecules import relax_molecules, start_over

        output = folder / arguments.pop("output")
        if not resume:
            start_over(output)
        return _kept(relax_molecules(inputs, output, **arguments, **common))
    common.pop("device")
    if task == "sanitise":
        from eqcli.tasks.sanitise import sanitise

        output = folder / arguments.pop("output")
        return _kept(sanitise(inputs, output, known=_paths(arguments.pop("known")), **arguments, **common))
    from eqcli.tasks.rank_molecules import rank_molecules

    return rank_molecules(inputs, folder, earlier=_paths(arguments.pop("earlier")), **arguments, **common)


def _docking(task: str, arguments: dict[str, Any], folder: Path, resume: bool, device: str, report: Reporter) -> Any:
    """Steps that dock ligands, and measure docked poses."""
    model = arguments.pop("model")
    if task == "evaluate-docking":
        from eqcli.tasks.evaluate_docking import evaluate_docking
        from eqcli.tasks.inference import load_for_inference

        loaded = None if model is None else load_for_inference(Path(model), device, None, None, report)
        complexes = _paths(arguments.pop("complexes"))
        return evaluate_docking(loaded, complexes, folder, **arguments, device=device, overwrite=True, report=report)
    from eqcli.tasks.dock import dock
    from eqcli.tasks.dock_request import PHYSICS, DockRequest

    reference, files, workers = (arguments.pop(name) for name in ("reference_ligand", "ligands", "workers"))
    for name in ("receptor", "table"):
        arguments[name] = Path(arguments[name]) if arguments[name] else None
    arguments["pocket"] = arguments["pocket"] or reference
    request = DockRequest(
        PHYSICS if model is None else model, ligands=[str(p) for p in _paths(files)], **arguments, device=device
    )
    return dock(request, folder, overwrite=not resume, resume=resume, workers=workers, report=report)


def _register(arguments: dict[str, Any], folder: Path, resume: bool, device: str, report: Reporter) -> Any:
    """The step that lays clouds and structures onto each other."""
    from eqcli.tasks.register_request import RegisterRequest

    for name in ("source", "target", "pairs", "model", "start"):
        arguments[name] = Path(arguments[name]) if arguments[name] else None
    for name in ("source_chains", "target_chains"):
        arguments[name] = tuple(arguments[name])
    output, pairs, merged = arguments.pop("output"), arguments.pop("pairs"), arguments.pop("merged")
    many = {name: arguments.pop(name) for name in ("pose_graph", "reference", "workers")}
    if pairs is None:
        from eqcli.tasks.register import register
        from eqcli.tasks.register_files import RegisterFiles

        files = RegisterFiles(folder / output, folder / "transform.txt", folder / "result.json")
        return register(RegisterRequest(**arguments, device=device), files, overwrite=True, report=report)
    from eqcli.tasks.register_many import register_pairs
    from eqcli.tasks.register_many_request import PairsRequest

    options = RegisterRequest(**arguments | {"source": Path(), "target": Path()}, device=device)
    request = PairsRequest(pairs, options, merged=folder / merged if merged else None, **many)
    return register_pairs(request, folder, overwrite=not resume, resume=resume, report=report)


def _generate_pairs(arguments: dict[str, Any], folder: Path, report: Reporter) -> Any:
    """The step that makes pairs of clouds."""
    from eqcli.tasks.generate_pairs import PairGeneration, generate_pairs

    count, files = arguments.pop("n"), tuple(_paths(arguments.pop("shapes")))
    given = {name: value for name, value in arguments.items() if name not in ("kinds", "voxel") or value is not None}
    given |= {name: given[name].model_dump() for name in ("kinds", "views") if name in given}
    given |= {name: tuple(given[name]) for name in ("overlap", "noise", "density", "voxels")}
    return generate_pairs(PairGeneration(folder, count, files, **given, overwrite=True), report)


def _kept(result: Any) -> Any:
    """The result of a step that drops structures. Raises InputError where it kept none, for no step can go on then."""
    if result.output is None:
        dropped = ", ".join(f"{count} {kind}" for kind, count in result.counts.items())
        hint = f"{result.table} has the reason of each."
        raise InputError(f"none of {result.total} structures was kept ({dropped})", hint=hint)
    return result


def _potentials(task: str, arguments: dict[str, Any], folder: Path, resume: bool, common: dict[str, Any]) -> Any:
    """Steps that apply potentials, and those about any structures."""
    if task == "evaluate":
        from eqcli.tasks.evaluate import evaluate

        data = _paths(arguments.pop("data"))
        return evaluate(Path(arguments.pop("model")), data, folder, **arguments, **common)
    if task == "compare":
        from eqcli.tasks.comparison import compare

        return compare(_paths(arguments.pop("evaluations")), folder, **arguments, **common)
    inputs, output = _paths(arguments.pop("inputs")), folder / arguments.pop("output")
    if task == "convert":
        from eqcli.tasks.convert import convert

        common.pop("device")
        return convert(inputs, output, **arguments, **common)
    model = Path(arguments.pop("model"))
    common["resume"] = resume
    if task == "predict":
        from eqcli.tasks.predict import predict

        return predict(model, inputs, output, **arguments, **common)
    return _relax(model, inputs, output, arguments, folder, common)


def _relax(
    model: Path, inputs: list[Path], output: Path, arguments: dict[str, Any], folder: Path, common: dict[str, Any]
) -> Any:
    """The step that relaxes structures, or moves them through time."""
    names = ("temperature", "time", "time_step", "every", "thermostat", "friction", "seed")
    md, motion = arguments.pop("md"), {name: arguments.pop(name) for name in names}
    trajectory = arguments.pop("trajectory")
    common["trajectory"] = folder / trajectory if trajectory else None
    if md is None:
        from eqcli.tasks.relax import relax

        return relax(model, inputs, output, **arguments, **common)
    from eqcli.tasks.motion_request import motion_settings
    from eqcli.tasks.move import move

    moving = {name: arguments.pop(name) for name in ("steps", "cell", "pressure")}
    if motion["time"] is not None:
        moving.pop("steps")
    for name in ("fmax", "smax", "optimizer", "keep_symmetry", "symprec", "one_by_one"):
        arguments.pop(name)
    return move(model, inputs, output, motion_settings(md, **motion, **moving), **arguments, **common)


def _paths(files: str | Sequence[str] | None) -> list[Path]:
    return [Path(files)] if isinstance(files, str) else [Path(file) for file in files or ()]
