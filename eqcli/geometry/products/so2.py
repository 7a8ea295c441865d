"""Convolution in the frame of the edge: tensor products with harmonics of one direction, at a fraction of the cost.

Where the direction is the polar axis its harmonics have the order m = 0 alone, so that every
weighted tensor product with them is a linear map which commutes with turns about the axis: it
mixes degrees and channels at fixed |m| (Passaro and Zitnick, ICML 2023, eSCN). Features are turned
into that frame, mixed, and turned back: L^3 operations instead of L^6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.edge_rotation import EdgeRotation, FrameMatrices
from eqcli.geometry.irreps import Irreps, natural
from eqcli.geometry.products.base import Explanation, Product, ProductPath
from eqcli.geometry.products.so2_form import EdgeForm, FormShape, G

TRUNCATED = 2
"""Highest order that :func:`build_truncated` keeps."""


class SO2Product(Product):
    """Features with the direction of an edge: the most general equivariant linear map of them up to order mmax.

    Parameters
    ----------
    lmax, channels
        Of the features, `natural(lmax, channels)`.
    lmax_out, channels_out
        Of the result; the same when left out.
    mmax
        Highest order in the frame; leaving orders out costs expressivity and no symmetry.
    parity
        With it the orders +m and -m have one real matrix, and the map respects reflections of features of
        natural parity. Without it the matrix is complex and the map respects rotations alone.

    Weights of unit variance and components of unit variance give components of unit variance.
    """

    scale: Tensor

    def __init__(
        self,
        lmax: int,
        channels: int,
        *,
        lmax_out: int | None = None,
        channels_out: int | None = None,
        mmax: int | None = None,
        parity: bool = True,
        name: str = "so2",
    ) -> None:
        super().__init__()
        if min(lmax, lmax_out or 0, mmax or 0) < 0 or min(channels, channels_out or 1) < 1:
            raise ValueError("degrees and orders begin at 0 and channels at 1")
        lmax_out = lmax if lmax_out is None else lmax_out
        channels_out = channels if channels_out is None else channels_out
        highest = min(lmax, lmax_out) if mmax is None else min(mmax, lmax, lmax_out)
        self.name, self.parity = name, parity
        self.shape = FormShape(lmax, lmax_out, channels, channels_out, highest, parity)
        self.irreps_in1, self.irreps_in2 = natural(lmax, channels), Irreps("1o")
        self.irreps_out = natural(lmax_out, channels_out)
        self.weight_numel, self.factor_numel = self.shape.weights, self.shape.factors
        self.into = FrameMatrices(lmax, highest)
        self.out_of = self.into if lmax_out == lmax else FrameMatrices(lmax_out, highest)
        self.register_constant("scale", _fan_in(self.shape))

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        # Only the direction counts; so that derivatives off the unit sphere are those of this function.
        directions = torch.nn.functional.normalize(y, dim=-1).reshape(-1, 3)
        if weight is not None and weight.dim() > 1:
            weight = weight.reshape(-1, self.weight_numel)
        found = self.convolve(x.reshape(-1, x.shape[-1]), self.rotation(directions), weight)
        return found.reshape(*x.shape[:-1], found.shape[-1])

    def rotation(self, directions: Tensor) -> EdgeRotation:
        """The rotation of edges along `directions` `[E, 3]`, for this product."""
        shape = self.shape
        rotation = EdgeRotation(directions)
        for lmax, module in ((shape.lmax_in, self.into), (shape.lmax_out, self.out_of)):
            rotation.add(lmax, shape.mmax, module)
        return rotation

    def convolve(
        self, x: Tensor, rotation: EdgeRotation, weight: Tensor | None, factor: Tensor | None = None
    ) -> Tensor:
        """`[E, irreps_in1.dim]` -> `[E, irreps_out.dim]` along the edges of a rotation that layers share.

        `weight` is `[weight_numel]` or `[E, weight_numel]`. `factor` `[E, factor_numel]` multiplies the
        features in the frame before they mix, order by order, at each order (degree, channel): the radial
        functions of eSCN.
        """
        if weight is None:
            raise ValueError("a convolution needs weights")
        shape = self.shape
        if not torch.compiler.is_compiling():
            self._check_rows(x, rotation, weight, factor)
        features = x.unflatten(1, ((shape.lmax_in + 1) ** 2, shape.channels_in))
        scaled = weight * self.scale
        found = EdgeForm.apply(
            G, shape, rotation, rotation.directions, features, None, scaled, factor, weight.dim() == 2
        )
        return found.flatten(1)

    def _check_rows(self, x: Tensor, rotation: EdgeRotation, weight: Tensor, factor: Tensor | None) -> None:
        self._check_width(f"features ({self.irreps_in1})", x, self.irreps_in1.dim)
        self._check_width("weight", weight, self.weight_numel)
        if factor is not None:
            self._check_width("factor", factor, self.factor_numel)
        per_row = [x, *([weight] if weight.dim() > 1 else []), *([] if factor is None else [factor])]
        if any(len(t) != len(rotation.directions) for t in per_row):
            found = ", ".join(str(len(t)) for t in per_row)
            raise ValueError(f"{self.name}: a rotation of {len(rotation.directions)} edges for rows of {found}")

    def explain(self) -> Explanation:
        shape = self.shape
        paths = []
        for m in range(shape.mmax + 1):
            rows, columns = shape.size(m)
            n = shape.parts(m) * rows * columns
            paths.append(
                ProductPath(
                    f"l = {m}..{shape.lmax_in}", f"|m| = {m}", f"l = {m}..{shape.lmax_out}", n, n * min(m + 1, 2)
                )
            )
        turned = [(self.into, shape.channels_in), (self.out_of, shape.channels_out)]
        turning = sum(
            channels * len(g.rows) * (g.columns.stop - g.columns.start) for f, channels in turned for g in f.groups
        )
        return Explanation(
            name=self.name,
            irreps_in1=str(self.irreps_in1),
            irreps_in2=str(self.irreps_in2),
            irreps_out=str(self.irreps_out),
            paths=paths,
            weights=self.weight_numel,
            multiply_adds=turning + sum(path.multiply_adds for path in paths),
            bytes=self.moved_bytes(),
            note="Paths are orders in the frame of the edge; turning into it and back is counted in the whole.",
        )


def _fan_in(shape: FormShape) -> Tensor:
    """What each weight is multiplied by: one over the root of how many terms a component of its order has."""
    parts = []
    for m in range(shape.mmax + 1):
        rows, columns = shape.size(m)
        parts.append(
            torch.full((shape.parts(m) * rows * columns,), (shape.parts(m) * rows) ** -0.5, dtype=torch.float64)
        )
    return torch.cat(parts)


def build(lmax: int, channels: int) -> SO2Product:
    """All orders, real weights: the function of a fully connected product with harmonics up to 2 lmax."""
    return SO2Product(lmax, channels)


def build_truncated(lmax: int, channels: int) -> SO2Product:
    """Orders up to 2 alone."""
    return SO2Product(lmax, channels, mmax=TRUNCATED, name="so2-truncated")
