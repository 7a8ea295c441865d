"""Which points of one cloud belong to which of another: the cheapest pairing of each structure."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.kabsch import align


def assigned(mobile: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`mobile` `[B, N, 3]` permuted within the rows of the mask `[B, N]` to be nearest to `target` row by row.

    The sum of squared distances is the least of all permutations (the Hungarian algorithm, as in scipy).
    """
    from scipy.optimize import linear_sum_assignment

    inner = torch.einsum("bnd,bmd->bnm", target.detach(), mobile.detach()).double().cpu().numpy()
    order = torch.arange(mobile.shape[1]).repeat(len(mobile), 1)
    for row, rows in enumerate(mask.cpu().numpy()):
        here = rows.nonzero()[0]
        # Squared lengths are the same in all permutations.
        chosen = linear_sum_assignment(inner[row][here[:, None], here], maximize=True)[1]
        order[row, torch.from_numpy(here)] = torch.from_numpy(here[chosen])
    return mobile.gather(1, order.to(mobile.device).unsqueeze(-1).expand_as(mobile))


def transported(mobile: Tensor, target: Tensor, mask: Tensor, rounds: int = 1) -> Tensor:
    """`mobile` permuted, then turned, to lie near `target`; both `[B, N, 3]` without drift, `mask` `[B, N]`.

    Equivariant optimal transport by alternation (Klein et al., NeurIPS 2023; Song et al., NeurIPS 2023): each round
    lowers the distance, the least of all is not promised. Points drawn from an isotropic distribution are drawn from
    it still.
    """
    for _ in range(rounds):
        mobile = assigned(mobile, target, mask)
        turn = align(mobile, target, weights=mask.to(mobile.dtype)).rotation
        mobile = torch.einsum("bij,bnj->bni", turn, mobile) * mask.unsqueeze(-1)
    return mobile
