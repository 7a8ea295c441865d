"""Registration of two clouds of points from files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from eqcli.errors import InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.register_result import CloudResult

if TYPE_CHECKING:
    from eqcli.engine.registration import Features, RegistrationSettings
    from eqcli.geometry.motions import Motion
    from eqcli.io.point_cloud import PointCloud
    from eqcli.models.pointcloud.base import RegistrationNetwork
    from eqcli.tasks.register_request import RegisterRequest

SAME = "same"
"""In place of a unit: both clouds have the same, whatever it is."""


class CloudRegistrar:
    """Registers pairs of clouds with the same options; the network is loaded once.

    Raises InputError for a model that is none of registration and a start that is no rigid motion.
    """

    def __init__(self, options: RegisterRequest, report: Reporter | None = None) -> None:
        self.options = options
        self.report = report or Silent()
        self.start = None if options.start is None else read_motion(options.start)
        self.features = _features(options)

    def register(self, source: Path, target: Path) -> CloudResult:
        """The motion between two files. Raises InputError for clouds that cannot be read or have different scales."""
        from eqcli.engine.registration import register_clouds
        from eqcli.io.point_cloud import cleaned

        begin = time.perf_counter()
        first, second = read_pair(source, target, self.options)
        clean = cleaned(first), cleaned(second)
        notes = [f"{cloud.name}: {note}" for cloud in clean for note in cloud.notes]
        _refuse_scales(*clean, self.options)
        read = time.perf_counter() - begin
        found = register_clouds(
            clean[0], clean[1], self._settings(), features=self.features, start=self.start, report=self.report
        )
        return CloudResult(found, first, second, self.options, notes, {"read": read, **found.seconds})

    def _settings(self) -> RegistrationSettings:
        from eqcli.engine.registration import RegistrationSettings

        given = {
            "solver": self.options.solver,
            "refinement": self.options.refine,
            "voxel": self.options.voxel,
            "threads": self.options.threads,
        }
        stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return RegistrationSettings(method=self.options.method, seed=self.options.seed, **stated)


def _features(options: RegisterRequest) -> Features | None:
    if options.model is None:
        return None
    from eqcli.engine.pare_features import PareFeatures
    from eqcli.tasks.inference import family_of, load_for_inference

    if (family := family_of(options.model)) != "pointcloud":
        raise InputError(f"this is a model of {family}, and one of pointcloud registers clouds", Where(options.model))
    network = load_for_inference(options.model, options.device, None).model
    return PareFeatures(cast("RegistrationNetwork", network))


def read_pair(source: Path, target: Path, options: RegisterRequest) -> tuple[PointCloud, PointCloud]:
    """Both clouds in the unit of the target. Raises InputError where one unit was stated and the other is unknown."""
    from eqcli.io.cloud_units import in_like_units, in_units
    from eqcli.io.point_cloud import read_cloud

    # Another seed for the target: a mesh that is sampled twice in the same places would be matched point by point.
    first = read_cloud(source, samples=options.samples, seed=options.seed)
    second = read_cloud(target, samples=options.samples, seed=options.seed + 1)
    stated = [unit for unit in (options.source_units, options.target_units) if unit not in (None, SAME)]
    first.units, second.units = _units(first, options.source_units), _units(second, options.target_units)
    for cloud, unit in ((first, first.units), (second, second.units)):
        if unit in stated and unit is not None:
            in_units(cloud.taken(slice(0)), unit, unit)  # Says which units there are.
    if stated and SAME not in (options.source_units, options.target_units) and not (first.units and second.units):
        unknown, option = (first, "--source-units") if first.units is None else (second, "--target-units")
        hint = f"Add {option}, or say {option} same."
        raise InputError("nothing states the unit of this cloud, and the other has one", Where(unknown.path), hint)
    return in_like_units(first, second), second


def _units(cloud: PointCloud, stated: str | None) -> str | None:
    """What the person says goes before what the file says; nothing is known of clouds that merely agree."""
    return (None if stated == SAME else stated) or cloud.units


def _refuse_scales(source: PointCloud, target: PointCloud, options: RegisterRequest) -> None:
    """Raises InputError where the clouds seem to be in different units and nobody said that they are not."""
    from eqcli.io.cloud_units import scale_note

    if options.source_units or options.target_units or (source.units and target.units):
        return
    if note := scale_note(source, target):
        hint = "Say which units they are in, e.g. --source-units mm --target-units m, or --source-units same."
        raise InputError(note, Where(source.path), hint)


def read_motion(path: Path) -> Motion:
    """The rigid motion in a file of 4 x 4 numbers. Raises InputError for anything else."""
    import torch

    from eqcli.data.pair_files import read_motions
    from eqcli.files import require_file
    from eqcli.geometry.motions import Motion

    motions = torch.from_numpy(read_motions(require_file(path)))
    if len(motions) != 1:
        raise InputError(
            f"a start is one motion, and here are {len(motions)}", Where(path), "Four lines of four numbers."
        )
    # Files are often rounded to a few digits.
    u, _, vh = torch.linalg.svd(motions[0, :3, :3])
    return Motion(u @ vh, motions[0, :3, 3].clone())
