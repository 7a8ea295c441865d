"""Every tensor product by name: the one table that the contract test, the comparison and the docs go through."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eqcli.geometry.products.base import Product


@dataclass(frozen=True)
class ProductKind:
    """Where a product is made, and what it is in one line.

    `build(lmax, channels)` in `module` returns a product whose first factor has `channels` copies of all
    degrees up to lmax, or as near to that as its algebra goes. Algebras of a fixed degree have `fixed` set:
    they are built with `lmax = fixed` alone. `build` raises ValueError for another and for less than one channel.
    """

    module: str
    function: str
    summary: str
    fixed: int | None = None

    def build(self, lmax: int, channels: int) -> Product:
        if lmax < 0 or channels < 1:
            raise ValueError(f"a product has degrees from 0 and channels from 1 on, got {lmax} and {channels}")
        if self.fixed not in (None, lmax):
            raise ValueError(f"{self.summary}: of degree {self.fixed} alone, got {lmax}")
        product: Product = getattr(import_module(self.module), self.function)(lmax, channels)
        return product


_HERE = "eqcli.geometry.products."

PRODUCTS: dict[str, ProductKind] = {
    "full": ProductKind(_HERE + "clebsch_gordan", "build_full", "all couplings of all channel pairs, no weights"),
    "fully-connected": ProductKind(
        _HERE + "clebsch_gordan", "build_fully_connected", "all couplings, weights mix all channel pairs (uvw)"
    ),
    "uvu": ProductKind(_HERE + "clebsch_gordan", "build_uvu", "weights for each pair of channels, first kept (uvu)"),
    "uuu": ProductKind(_HERE + "clebsch_gordan", "build_uuu", "channel by channel (uuu)"),
    "depthwise": ProductKind(
        _HERE + "clebsch_gordan", "build_depthwise", "features with one set of harmonics, a weight per path and channel"
    ),
    "matrix": ProductKind(_HERE + "matrix", "build", "tensors as matrices in l/2 (x) l/2, multiplied"),
    "so2": ProductKind(_HERE + "so2", "build", "convolution in the frame of the edge (eSCN)"),
    "so2-truncated": ProductKind(_HERE + "so2", "build_truncated", "the same with |m| <= 2"),
    "gaunt-fourier": ProductKind(
        _HERE + "gaunt_fourier", "build", "functions on the sphere multiplied as Fourier series"
    ),
    "gaunt-grid": ProductKind(_HERE + "gaunt_grid", "build", "functions on the sphere multiplied on a grid"),
    "gaunt-vector": ProductKind(
        _HERE + "gaunt_vector", "build", "vector fields on the sphere: antisymmetric paths too"
    ),
    "cartesian": ProductKind(_HERE + "cartesian", "build", "3x3 tensors multiplied (TensorNet)", fixed=2),
    "clifford": ProductKind(_HERE + "clifford", "build", "geometric product of Cl(3)", fixed=1),
    "projective": ProductKind(_HERE + "clifford", "build_projective", "geometric product of Cl(3,0,1)", fixed=1),
}
"""Name -> where it is made."""
