"""How far point clouds lie from another after the best rotation and shift, without making that rotation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def superposed_rmsds(target: FloatArray, clouds: FloatArray) -> FloatArray:
    """Least RMSD of each cloud `[K, n, 3]` and the target `[n, 3]`, point by point, `[K]`; mirror images stay apart.

    Kabsch, Acta Cryst. A 32, 922 (1976): the singular values of the covariance are enough.
    """
    one = target - target.mean(axis=0)
    others = clouds - clouds.mean(axis=1, keepdims=True)
    covariance = np.einsum("ni,knj->kij", one, others)
    values = np.linalg.svd(covariance, compute_uv=False)
    values[:, -1] *= np.where(np.linalg.det(covariance) < 0, -1.0, 1.0)
    squares = (one**2).sum() + (others**2).sum(axis=(1, 2)) - 2 * values.sum(axis=1)
    found: FloatArray = np.sqrt(np.maximum(squares, 0.0) / len(one))
    return found


def superpositions(
    source: FloatArray, target: FloatArray, weights: FloatArray | None = None, *, reflect: bool = False
) -> tuple[FloatArray, FloatArray]:
    """The motions y = R x + t that lay points onto others with the least weighted sum of squared distances.

    Parameters
    ----------
    source, target
        `[..., n, 3]`, point by point; leading dimensions are broadcast.
    weights
        `[..., n]`, not negative; all 1 without it.
    reflect
        Whether R may be improper.

    Returns
    -------
    Rotations `[..., 3, 3]` and translations `[..., 3]`. Where more than one fits alike, one of them.
    """
    share = np.ones(source.shape[:-1]) if weights is None else weights
    total = share.sum(axis=-1, keepdims=True)
    share = share / np.where(total > 0, total, 1.0)
    first = (share[..., None, :] @ source)[..., 0, :]
    second = (share[..., None, :] @ target)[..., 0, :]
    centred = (source - first[..., None, :]) * share[..., None]
    covariance = np.swapaxes(target - second[..., None, :], -1, -2) @ centred
    u, _, vh = np.linalg.svd(covariance)
    if not reflect:
        u[..., :, 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vh))[..., None]
    rotation = u @ vh
    return rotation, second - (rotation @ first[..., None])[..., 0]
