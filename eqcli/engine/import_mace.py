"""Models of mace-torch, read without mace-torch and without running anything of their file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from eqcli.engine.imported_model import write_imported
from eqcli.engine.model_file import ModelFile, make_potential
from eqcli.errors import InputError, Where
from eqcli.files import refuse_existing
from eqcli.geometry.symmetric_product import Monomial, symmetric_product_basis
from eqcli.io.inert_pickle import Inert, read_inert_module
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.mace import MACE
from eqcli.nn.radial import SILU_SCALE

INTERACTIONS = {
    "RealAgnosticInteractionBlock": "agnostic",
    "RealAgnosticResidualInteractionBlock": "residual",
    "RealAgnosticDensityInteractionBlock": "density",
    "RealAgnosticDensityResidualInteractionBlock": "residual-density",
}
TRANSFORMS = {"AgnesiTransform": "agnesi", "SoftTransform": "soft"}
RADIAL_TYPES = {"BesselBasis": "bessel", "GaussianBasis": "gaussian"}
SPAN_TOLERANCE = 1e-5
"""Largest part of an imported product basis that may lie outside the span of ours (its entries may be float32)."""


def convert_mace_torch(path: Path, output: Path, *, overwrite: bool = False, head: str | None = None) -> ModelFile:
    """Writes a model of mace-torch as a model file; `head` chooses one of a model with several."""
    refuse_existing(output, overwrite)
    return write_imported(import_mace(path, head), output, path, "mace-torch", head=head)


def import_mace(path: Path, head: str | None = None) -> MACE:
    """The potential in a file that mace-torch saved, in the precision of the file."""
    source = _Source.read(path, head)
    try:
        config = source.config()
    except ValidationError as error:
        raise source.refuse(f"hyper-parameters that are not supported: {error.errors()[0]['msg']}") from error
    potential = make_potential(config, source.tensors["atomic_numbers"].tolist())
    assert isinstance(potential, MACE)
    with torch.no_grad():
        _copy(source, potential)
    dtype = source.tensors["node_embedding.linear.weight"].dtype
    return potential.to(dtype).eval()


@dataclass
class _Source:
    """A module of mace-torch as stand-ins and its tensors by name."""

    path: Path
    root: Inert
    tensors: dict[str, Tensor]
    head: int
    n_heads: int

    @classmethod
    def read(cls, path: Path, head: str | None) -> _Source:
        root = read_inert_module(path)
        self = cls(Path(path), root, root.tensors(), 0, 1)
        if root.name not in ("ScaleShiftMACE", "MACE"):
            raise self.refuse(f"a {root.kind}, where MACE or ScaleShiftMACE was expected")
        heads = [str(h) for h in root.state.get("heads", ["Default"])]
        if head is None and len(heads) > 1:
            raise self.refuse(f"several heads ({', '.join(heads)})", "Choose one with --head.")
        if head is not None and head not in heads:
            raise self.refuse(f"no head '{head}'; it has {', '.join(heads)}", "Choose one of these with --head.")
        self.head, self.n_heads = heads.index(head) if head else 0, len(heads)
        return self

    def refuse(self, found: str, hint: str = "") -> InputError:
        return InputError(f"this mace-torch model has {found}", Where(self.path), hint)

    def part(self, *names: str) -> Inert:
        module: Inert | None = self.root
        for name in names:
            module = module.child(name) if module is not None else None
        if module is None:
            raise self.refuse(
                f"no part '{'.'.join(names)}'", "Models compiled or fused for GPU libraries must be saved plain."
            )
        return module

    def config(self) -> MACEConfig:
        t, radial = self.tensors, self.part("radial_embedding")
        kinds = [self._kind(block) for block in self.part("interactions").children()]
        if len(set(kinds[1:])) > 1:
            raise self.refuse("interaction blocks of several kinds")
        if not self.root.state.get("apply_cutoff", True) or self.root.state.get("use_agnostic_product", False):
            raise self.refuse("options that are not supported (apply_cutoff, use_agnostic_product)")
        basis, transform = self.part("radial_embedding", "bessel_fn"), radial.child("distance_transform")
        if basis.name not in RADIAL_TYPES:
            raise self.refuse(f"a radial basis {basis.name}")
        channels = t["node_embedding.linear.weight"].numel() // t["atomic_numbers"].numel()
        contractions = self.part("products", "0", "symmetric_contractions", "contractions").children()
        correlation = int(contractions[0].state["correlation"])
        hidden = len(contractions) - 1 if len(kinds) > 1 else 0
        width = t["interactions.0.conv_tp_weights.layer0.weight"].shape[0]
        zbl = self.root.child("pair_repulsion_fn")
        return MACEConfig.model_validate({
            "cutoff": float(t["r_max"]),
            "channels": channels,
            "max_L": hidden,
            "max_ell": round(t["products.0.symmetric_contractions.contractions.0.U_matrix_1"].shape[-2] ** 0.5) - 1,
            "correlation": correlation,
            "num_interactions": len(kinds),
            "num_radial_basis": width,
            "num_cutoff_basis": int(t["radial_embedding.cutoff_fn.p"]),
            "radial_type": RADIAL_TYPES[basis.name],
            "distance_transform": TRANSFORMS[transform.name] if transform is not None else "none",
            "radial_MLP": self._hidden_widths(),
            "MLP_irreps": f"{t[f'readouts.{len(kinds) - 1}.linear_1.weight'].numel() // channels // self.n_heads}x0e",
            "interaction_first": kinds[0],
            "interaction": kinds[-1] if len(kinds) > 1 else "residual",
            "avg_num_neighbors": float(self.part("interactions", "0").state["avg_num_neighbors"]),
            "zbl": {"num_cutoff_basis": int(t["pair_repulsion_fn.p"])} if zbl is not None else None,
        })  # fmt: skip

    def _kind(self, block: Inert) -> str:
        if block.name not in INTERACTIONS:
            raise self.refuse(f"an interaction block {block.name}", f"Supported are {', '.join(INTERACTIONS)}.")
        return INTERACTIONS[block.name]

    def _hidden_widths(self) -> list[int]:
        weights, i = [], 0
        while (w := self.tensors.get(f"interactions.0.conv_tp_weights.layer{i}.weight")) is not None:
            weights.append(w.shape[1])
            i += 1
        return weights[:-1]

    def of_head(self, name: str) -> Tensor:
        """A per-head constant."""
        return torch.atleast_1d(self.tensors[name])[self.head if self.tensors[name].dim() else 0]

    def silu_scale(self, *names: str) -> float:
        """The factor on SiLU of an activation there, relative to ours; it is folded into the next weights."""
        return float(self.part(*names).state["cst"]) / SILU_SCALE


def _copy(source: _Source, potential: MACE) -> None:
    t, config = source.tensors, potential.config
    order = torch.argsort(t["atomic_numbers"])
    potential.embedding.copy_(t["node_embedding.linear.weight"].view(len(order), -1)[order])
    for i, layer in enumerate(potential.layers):
        _copy_interaction(source, f"interactions.{i}", layer, config, order)
        _copy_product(source, f"products.{i}", layer, config, order)
    for i, readout in enumerate(potential.readouts[:-1]):
        readout.weight.copy_(t[f"readouts.{i}.linear.weight"].view(config.channels, -1)[:, source.head])
    last = len(potential.readouts) - 1
    _copy_last_readout(source, f"readouts.{last}", potential.readouts[last])
    scale, shift = torch.tensor(1.0), torch.tensor(0.0)
    if "scale_shift.scale" in t:
        scale, shift = source.of_head("scale_shift.scale"), source.of_head("scale_shift.shift")
    potential.scale.copy_(scale)
    potential.avg_num_neighbors.fill_(config.avg_num_neighbors or 1.0)
    if potential.zbl is not None:
        potential.zbl.exponent.copy_(t["pair_repulsion_fn.a_exp"])
        potential.zbl.length.copy_(t["pair_repulsion_fn.a_prefactor"])
        potential.zbl.factor.copy_(scale)
    atoms = torch.atleast_2d(t["atomic_energies_fn.atomic_energies"])[source.head].double()[order]
    # mace-torch leaves the energy of an element's own features in the interaction; here it belongs to the atom.
    potential.reference_energies.copy_(atoms + shift + scale * potential.isolated_energies().double())


def _copy_interaction(source: _Source, prefix: str, layer: Any, config: MACEConfig, order: Tensor) -> None:
    t, c = source.tensors, config.channels
    layer.linear_up.weight.copy_(t[f"{prefix}.linear_up.weight"].view(-1, c, c))
    factor = 1.0
    for i, weight in enumerate(layer.radial.weights):
        weight.copy_(t[f"{prefix}.conv_tp_weights.layer{i}.weight"] * factor)
        factor = source.silu_scale(*prefix.split("."), "conv_tp_weights", f"layer{i}", "act")
    # mace-torch takes edges from neighbour to centre: harmonics of odd degree change sign.
    signs = torch.tensor([(-1.0) ** path.l2 for path in layer.convolution.paths]).repeat_interleave(c)
    final = t[f"{prefix}.conv_tp_weights.layer{len(layer.radial.weights)}.weight"]
    layer.convolution.radial_weight.copy_(final * factor * signs)
    parts = t[f"{prefix}.linear.weight"].split([w.numel() for w in layer.convolution.mixing])
    for weight, part in zip(layer.convolution.mixing, parts, strict=True):
        weight.copy_(part.view_as(weight))
    skip = layer.skip if layer.skip is not None else layer.message_skip
    skip_weight = t[f"{prefix}.skip_tp.weight"].view(-1, c, len(order), c)[:, :, order]  # [l, C, Z, C']
    skip.weight.copy_(skip_weight.permute(2, 0, 1, 3))
    if layer.density is not None:
        layer.density.weight.copy_(t[f"{prefix}.density_fn.layer0.weight"].flatten())


def _copy_product(source: _Source, prefix: str, layer: Any, config: MACEConfig, order: Tensor) -> None:
    t, c = source.tensors, config.channels
    layer.linear.weight.copy_(t[f"{prefix}.linear.weight"].view(-1, c, c))
    for degree, weights in enumerate(layer.product.weights):
        name = f"{prefix}.symmetric_contractions.contractions.{degree}"
        parts = []
        for nu in range(1, config.correlation + 1):
            key = "weights_max" if nu == config.correlation else f"weights.{config.correlation - 1 - nu}"
            change = _change_of_basis(source, t[f"{name}.U_matrix_{nu}"].double(), config.max_ell, nu, degree)
            parts.append(torch.einsum("pq,zqc->zpc", change, t[f"{name}.{key}"][order].double()))
        weights.copy_(torch.cat(parts, dim=1))


def _change_of_basis(source: _Source, u: Tensor, max_ell: int, nu: int, degree: int) -> Tensor:
    """`[ours, theirs]`: coefficients of the file's polynomials in our basis.

    Both span the symmetric equivariant polynomials; the file's basis need not be independent.
    """
    monomials, basis = symmetric_product_basis(max_ell, nu, degree)
    u = u.reshape(2 * degree + 1, *([(max_ell + 1) ** 2] * nu), -1)
    theirs = torch.stack([_symmetrised(u, monomial) for monomial in monomials], dim=1)  # [M, q, theirs]
    ours = basis.permute(1, 2, 0).flatten(0, 1)  # [M q, ours]
    change = torch.linalg.lstsq(ours, theirs.flatten(0, 1)).solution
    missed = (ours @ change - theirs.flatten(0, 1)).abs().max()
    if missed > SPAN_TOLERANCE * theirs.abs().max():
        raise source.refuse("a product basis that is not the symmetric one")
    return change


def _symmetrised(u: Tensor, monomial: Monomial) -> Tensor:
    """Coefficient of a monomial: the sum over the distinct orders of its factors, `[M, theirs]`."""
    orders = sorted(set(permutations(monomial)))
    return torch.stack([u.movedim(0, -1)[order] for order in orders]).sum(0).movedim(-1, 0)


def _copy_last_readout(source: _Source, prefix: str, readout: Any) -> None:
    t, c = source.tensors, readout.hidden.shape[0]
    width = readout.hidden.shape[1]
    mine = slice(source.head * width, (source.head + 1) * width)
    readout.hidden.copy_(t[f"{prefix}.linear_1.weight"].view(c, -1)[:, mine])
    scale = source.silu_scale(*prefix.split("."), "non_linearity", "acts", "0")
    # The fan-in of the file's last map counts the hidden units of all heads.
    last = t[f"{prefix}.linear_2.weight"].view(-1, source.n_heads)[mine, source.head]
    readout.weight.copy_(last * scale * source.n_heads**-0.5)
