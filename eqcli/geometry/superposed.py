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
