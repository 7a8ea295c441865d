"""The last refinement, on denser clouds, and the uncertainty of its motion."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import View
from eqcli.geometry.motions import Motion
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.spacing import spacing
from eqcli.graph.points.voxels import voxel_means

FINER = 4.0
"""How many times finer than the voxel of the search the last one is, at most."""

LEAST_SPACINGS = 1.5
"""A voxel is not below this number of spacings of the sparser cloud."""

FALLING = (4.0, 2.0)
"""Distances of the last refinement, in its own voxels."""

CORRELATED = 20.0
"""Points that share their normal, hence their residual: the information counts each of them."""

KEPT = 0.97
"""Share of the touching points at the coarse voxel that the finer motion must keep."""


def finest(
    source: Tensor, target: Tensor, view: View, motion: Motion, settings: RegistrationSettings
) -> tuple[Motion, Tensor]:
    """The motion refined on clouds as dense as they allow, and its covariance `[6, 6]`.

    The coarser motion is kept where the finer one lets fewer points touch.
    """
    if settings.refinement == "none" or not view.refinable:
        return motion, undetermined()
    fine = View(source, target, _fine_voxel(source, target, view, settings), threads=settings.threads)
    # The first distance spans the error of the coarse motion, whatever the ratio of the voxels is.
    distances = tuple(sorted({view.voxel / fine.voxel, *FALLING}, reverse=True))
    found = fine.refine(motion, settings.refinement, distances, iterations=30)
    before, after = view.contact(motion), view.contact(found.motion)
    touching = int(after.source.sum() + after.target.sum())
    kept = touching >= KEPT * int(before.source.sum() + before.target.sum())
    return (found.motion if kept else motion), covariance_of(found.information)


def _fine_voxel(source: Tensor, target: Tensor, view: View, settings: RegistrationSettings) -> float:
    """As fine as density and the number of points allow, and not finer than a quarter of the view's voxel."""
    voxel = max(view.voxel / FINER, LEAST_SPACINGS * max(spacing(source), spacing(target)))
    while voxel < view.voxel:
        counts = [len(voxel_means(points, voxel, frame=principal_frame(points)).points) for points in (source, target)]
        if max(counts) <= settings.fine_points:
            return voxel
        voxel *= (max(counts) / settings.fine_points) ** 0.5 * 1.05
    return min(voxel, view.voxel)


def covariance_of(information: Tensor) -> Tensor:
    """The covariance `[6, 6]` of an information matrix in which neighbours were taken as independent."""
    scale = information.diagonal().clamp(min=0).sqrt()
    if bool((scale <= 0).any()):
        return undetermined()
    unit = information / (scale.unsqueeze(1) * scale)
    values = torch.linalg.eigvalsh(unit)
    if not bool(values[0] > 1e-10 * values[-1]):
        return undetermined()
    return CORRELATED * torch.linalg.inv(unit) / (scale.unsqueeze(1) * scale)


def undetermined() -> Tensor:
    """Nothing is known: infinite on the diagonal."""
    return torch.diag(torch.full((6,), float("inf"), dtype=torch.float64))
