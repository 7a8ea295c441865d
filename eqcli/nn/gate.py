"""Nonlinearities of spherical tensors that are exactly equivariant."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import Irrep, Irreps, join, shapes, split_blocks
from eqcli.nn.activation import activation


class ScalarActivation(nn.Module):
    """An activation on scalars, one for each entry, `[..., irreps_in.dim] -> [..., irreps_out.dim]`.

    Parameters
    ----------
    irreps_in
        Of degree 0; ValueError for others.
    names
        In :data:`eqcli.nn.activation.ACTIVATIONS`, one per entry. An odd scalar takes an odd function and
        stays odd, or an even one and becomes a true scalar; any other function raises ValueError.
    """

    def __init__(self, irreps_in: Irreps | str, names: list[str]) -> None:
        super().__init__()
        self.irreps_in = Irreps(irreps_in)
        if any(ir.l for _, ir in self.irreps_in):
            raise ValueError(f"activations act on scalars alone, got {self.irreps_in}")
        if len(names) != len(self.irreps_in):
            raise ValueError(f"{len(names)} activations for the {len(self.irreps_in)} entries of {self.irreps_in}")
        self.activations = [activation(name) for name in names]
        self._sizes = [int(mul) for mul, _ in self.irreps_in]
        self.irreps_out = Irreps(
            [
                (mul, (0, act.result_parity(ir.p)))
                for (mul, ir), act in zip(self.irreps_in, self.activations, strict=True)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        if len(self.activations) == 1:
            return self.activations[0](x)
        parts = x.split(self._sizes, dim=-1)
        return torch.cat([act(part) for act, part in zip(self.activations, parts, strict=True)], dim=-1) if parts else x


class Gate(nn.Module):
    """Scalars through activations; every other channel times an activated scalar of its own (Weiler et al. 2018).

    The input holds scalars, gates and gated irreps, in this order; the result holds scalars and gated
    irreps. Gates multiply all 2l+1 components of a channel; an odd gate (tanh on 0o) turns its parity.

    Parameters
    ----------
    irreps_scalars, scalar_activations
        Degree 0, with a name per entry; see :class:`ScalarActivation`.
    irreps_gates, gate_activations
        Degree 0, one gate for each channel of `irreps_gated`; ValueError when the numbers differ or when gates
        of both parities fall on one entry of `irreps_gated`.
    irreps_gated
        Any.
    """

    def __init__(
        self,
        irreps_scalars: Irreps | str,
        scalar_activations: list[str],
        irreps_gates: Irreps | str,
        gate_activations: list[str],
        irreps_gated: Irreps | str,
    ) -> None:
        super().__init__()
        self.scalars = ScalarActivation(irreps_scalars, scalar_activations)
        self.gates = ScalarActivation(irreps_gates, gate_activations)
        self.irreps_gated = Irreps(irreps_gated)
        if self.gates.irreps_in.num_irreps != self.irreps_gated.num_irreps:
            raise ValueError(f"{self.gates.irreps_in} are not one gate for each channel of {self.irreps_gated}")
        self.irreps_in = self.scalars.irreps_in + self.gates.irreps_in + self.irreps_gated
        self._sizes = [int(irreps.dim) for irreps in (self.scalars.irreps_in, self.gates.irreps_in, self.irreps_gated)]
        self._shapes = shapes(self.irreps_gated)
        self.irreps_out = self.scalars.irreps_out + _gated_irreps(self.gates.irreps_out, self.irreps_gated)

    @classmethod
    def of(cls, irreps_out: Irreps | str, scalar: str = "silu", gate: str = "sigmoid") -> Gate:
        """The gate that gives `irreps_out`, whose true scalars are activated and whose other irreps are gated."""
        irreps = Irreps(irreps_out)
        true = Irreps([(mul, ir) for mul, ir in irreps if ir == Irrep("0e")])
        rest = Irreps([(mul, ir) for mul, ir in irreps if ir != Irrep("0e")])
        gates = Irreps([(rest.num_irreps, (0, 1))]) if rest.num_irreps else Irreps("")
        return cls(true, [scalar] * len(true), gates, [gate] * len(gates), rest)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., irreps_in.dim] -> [..., irreps_out.dim]`."""
        scalars, gates, gated = x.split(self._sizes, dim=-1)
        scalars = self.scalars(scalars)
        if not self._shapes:
            return scalars
        each = self.gates(gates).split([mul for _, mul in self._shapes], dim=-1)
        parts = [part * g.unsqueeze(-2) for part, g in zip(split_blocks(gated, self._shapes), each, strict=True)]
        return torch.cat([scalars, join(parts)], dim=-1)


def _gated_irreps(gates: Irreps, gated: Irreps) -> Irreps:
    """The gated irreps with the parity that their gates give them."""
    parities = [ir.p for mul, ir in gates for _ in range(mul)]
    result, start = [], 0
    for mul, ir in gated:
        found = set(parities[start : start + mul]) or {1}
        if len(found) > 1:
            raise ValueError(f"gates of both parities fall on the channels of {mul}x{ir}; give it as two entries")
        result.append((mul, (ir.l, ir.p * found.pop())))
        start += mul
    return Irreps(result)
