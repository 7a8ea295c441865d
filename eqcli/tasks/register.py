"""Registration of two files: the rigid motion that lays the source onto the target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError
from eqcli.files import require_file, sha256, write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.register_files import RegisterFiles
from eqcli.tasks.register_request import FOR_CLOUDS, FOR_KIND, Kind, RegisterRequest, option_of

if TYPE_CHECKING:
    from eqcli.io.point_cloud import PointCloud
    from eqcli.tasks.register_clouds import CloudRegistrar
    from eqcli.tasks.register_result import CloudResult
    from eqcli.tasks.register_structures import StructureResult

    Result = CloudResult | StructureResult

STRUCTURES_TOO = {".xyz", ".csv", ".npz", ".txt"}
"""Endings of clouds and of structures alike."""


def register(
    request: RegisterRequest,
    files: RegisterFiles | None = None,
    *,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> Result:
    """Registers two files and writes what was asked for.

    Without a reliable alignment only `files.result` is written, with the evidence and without any matrix.

    Raises
    ------
    InputError
        The request cannot be carried out: a file cannot be read, options do not belong together, clouds seem to be
        of different scales, an output exists.
    """
    report, files = report or Silent(), files or RegisterFiles()
    request.check()
    sources = [require_file(request.source), require_file(request.target)]
    registrar = Registrar(request, report)
    kind = registrar.kind(*sources)
    files.refuse(sources, overwrite, clouds=kind == "clouds")
    _use_threads(request.threads)
    result = registrar.register(*sources)
    _write(result, request, files, report)
    return result


class Registrar:
    """Registers pairs of files with the same options, whatever they hold; a network is loaded once."""

    def __init__(self, options: RegisterRequest, report: Reporter | None = None) -> None:
        self.options = options
        self.report = report or Silent()
        self._clouds: CloudRegistrar | None = None

    def kind(self, source: Path, target: Path) -> Kind:
        """What two files are taken for. Raises InputError where an option does not belong to that."""
        kind = self.options.kind or _kind_of(source, target)
        wrong = self.options.given(FOR_CLOUDS) if kind != "clouds" else []
        for other, names in FOR_KIND.items():
            wrong += self.options.given(names) if other != kind else []
        if wrong:
            told = ", ".join(option_of(name) for name in wrong)
            hint = "Leave it out, or say what they are with --as."
            raise InputError(f"{told}: not for {kind}, which these files are taken for", hint=hint)
        return kind

    def register(self, source: Path, target: Path) -> Result:
        """The motion between two files. Raises InputError for what cannot be read or matched."""
        from dataclasses import replace

        kind = self.kind(source, target)
        if kind != "clouds":
            from eqcli.tasks.register_structures import register_structures

            return register_structures(replace(self.options, source=source, target=target, kind=kind))
        if self._clouds is None:
            from eqcli.tasks.register_clouds import CloudRegistrar

            self._clouds = CloudRegistrar(self.options, self.report)
        return self._clouds.register(source, target)


def _kind_of(source: Path, target: Path) -> Kind:
    """By the endings where they leave no doubt: a structure beside a file of points is a cloud of its atoms."""
    from eqcli.io.cloud_reading import READERS

    for path in (source, target):
        name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
        if name.suffix.lower() in READERS.keys() - STRUCTURES_TOO:
            return "clouds"
    from eqcli.tasks.register_structures import kind_of

    return kind_of(source, target)


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _write(result: Result, request: RegisterRequest, files: RegisterFiles, report: Reporter) -> None:
    """The files that were asked for, the result after all others, for it names them."""
    from eqcli.engine.provenance import provenance

    origin = provenance() | {"inputs": [{"path": str(path), "sha256": sha256(path)} for path in _inputs(request)]}
    written: dict[str, Path] = {}
    if result.exit_code:
        asked = [path for name, path in vars(files).items() if path is not None and name != "result"]
        if asked:
            report.message("there is no reliable alignment: " + ", ".join(map(str, asked)) + " was not written")
    else:
        written = _write_aligned(result, request, files, origin)
    result.files.update(written)
    if files.result is not None:
        result.files["result"] = files.result
        write_json(files.result, _jsonable(result.as_dict()) | {"request": request.facts(), "provenance": origin})


def _inputs(request: RegisterRequest) -> list[Path]:
    return [path for path in (request.source, request.target, request.model, request.start) if path is not None]


def _write_aligned(
    result: Result, request: RegisterRequest, files: RegisterFiles, origin: dict[str, Any]
) -> dict[str, Path]:
    from eqcli.tasks.register_rows import write_matrix

    written: dict[str, Path] = {}
    matrix = result.registered.motion.matrix().double()
    if files.output is not None:
        _write_output(result, files.output, origin)
        written["output"] = files.output
    if files.transform is not None:
        write_matrix(files.transform, matrix.tolist())
        written["transform"] = files.transform
    if files.viewer is not None or files.picture is not None:
        written |= _write_pictures(result, request, files)
    return written


def _write_output(result: Result, output: Path, origin: dict[str, Any]) -> None:
    from eqcli.tasks.register_result import CloudResult

    if not isinstance(result, CloudResult):
        result.write(output, overwrite=True, provenance=origin)
        return
    from eqcli.io.point_cloud import write_cloud

    write_cloud(result.source.moved(result.registered.motion.matrix().double().numpy()), output)


def _write_pictures(result: Result, request: RegisterRequest, files: RegisterFiles) -> dict[str, Path]:
    from eqcli.report.cloud_picture import picture
    from eqcli.report.cloud_scene import ShownMatches
    from eqcli.report.cloud_viewer import viewer
    from eqcli.tasks.register_result import CloudResult

    source, target = _clouds(result, request)
    matches = None
    if isinstance(result, CloudResult):
        found = result.registered
        matches = ShownMatches.of(found.matches.source, found.matches.target, found.inliers)
    title = f"{request.source.name} onto {request.target.name}"
    shown = {name: value.replace("\n", "; ") for name, value in result.summary() if name != "matrix"}
    written: dict[str, Path] = {}
    for kind, path, draw in (("viewer", files.viewer, viewer), ("picture", files.picture, picture)):
        if path is not None:
            facts: Mapping[str, object] = shown if kind == "viewer" else {}
            draw(path, source, target, result.registered.motion, matches, title=title, facts=facts)
            written[kind] = path
    return written


def _clouds(result: Result, request: RegisterRequest) -> tuple[PointCloud, PointCloud]:
    from eqcli.io.point_cloud import read_cloud
    from eqcli.tasks.register_result import CloudResult

    if isinstance(result, CloudResult):
        return result.source, result.target
    return read_cloud(request.source), read_cloud(request.target)


def _jsonable(value: Any) -> Any:
    """Numbers that are none become null, as JSON has it."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
