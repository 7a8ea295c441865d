"""The message pass through cuEquivariance, an optional library (package `cuequivariance-torch`).

The form is written as a segmented polynomial in which each row of features and messages, each harmonic and each
path's weights is one segment and each nonzero coupling coefficient one term, so that channels are the only mode: what
its GPU method `uniform_1d` (package `cuequivariance-ops-torch-cu12` or `-cu13`) asks for. On a CPU its `naive`
method computes the same, slowly. Whether sums on a GPU repeat bit by bit is up to the library.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import torch
from torch import Tensor

from eqcli.nn.differentiated_maps import DifferentiatedMaps
from eqcli.nn.message_maps import MessageEdges, MessageForm
from eqcli.nn.sparse_coupling import nonzeros

PACKAGE = "cuequivariance_torch"
OPERATIONS = "cuequivariance_ops_torch"


def cuequivariance_missing(device: torch.device) -> str | None:
    """Why the library cannot be used on `device`, or None when it can. Nothing is imported."""
    if importlib.util.find_spec(PACKAGE) is None:
        return "the package cuequivariance-torch is not installed"
    if device.type == "cuda" and importlib.util.find_spec(OPERATIONS) is None:
        return "the GPU operations of cuequivariance (cuequivariance-ops-torch-cu12 or -cu13) are not installed"
    return None


class CuequivarianceMaps(DifferentiatedMaps):
    """:class:`~eqcli.nn.message_maps.MessageMaps` of `form`; calls raise RuntimeError where the library cannot run."""

    def __init__(self, form: MessageForm) -> None:
        self.form = form

    def messages(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        channels = h.shape[-1]
        size = torch.empty(edges.n_atoms, 1, device=h.device)
        polynomial = _polynomial(self.form, channels, h.dtype, h.device)
        (found,) = polynomial([w, h.flatten(1), harmonics], {1: edges.sender}, {0: size}, {0: edges.receiver})
        result: Tensor = found.reshape(edges.n_atoms, self.form.rows_out, channels)
        return result


@cache
def _polynomial(form: MessageForm, channels: int, dtype: torch.dtype, device: torch.device) -> Any:
    """The library's module for weights, features and harmonics -> messages."""
    if reason := cuequivariance_missing(device):
        raise RuntimeError(reason)
    import cuequivariance as cue
    import cuequivariance_torch as cuet

    product = cue.SegmentedTensorProduct.from_subscripts("u,u,,u")
    rows, wide = (form.rows_in, form.rows_edge, form.rows_out), (channels,)
    segments = [(len(form.paths), wide), (rows[0], wide), (rows[1], ()), (rows[2], wide)]
    for operand, (count, shape) in enumerate(segments):
        for _ in range(count):
            product.add_segment(operand, shape)
    for p, path in enumerate(form.paths):
        for m1, m2, m3, coefficient in nonzeros(path):
            row_out = path.result + m3 * path.step
            product.add_path(p, path.first + m1, path.second + m2, row_out, c=coefficient)
    method = "uniform_1d" if device.type == "cuda" else "naive"
    polynomial = cue.SegmentedPolynomial.eval_last_operand(product)
    return cuet.SegmentedPolynomial(polynomial, method=method, math_dtype=dtype).to(device)
