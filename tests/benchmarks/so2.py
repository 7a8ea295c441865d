"""The SO(2) convolution and e3nn's full product with harmonics, the same function and weights, in one run.

python -m tests.benchmarks.so2 [--device cuda] [--threads 2] [--edges 1000] [-o F.json]

e3nn's part is FullyConnectedTensorProduct with harmonics to L, made before the clock starts; ours turns the
features into the frame of every edge and back, with the matrices of the turns made before ("shared": layers share
them, as they share harmonics) or inside ("whole"). The programs take turns; times are medians.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from e3nn import o3
from torch import Tensor

from eqcli.geometry.irreps import natural, to_e3nn
from eqcli.geometry.products.so2 import SO2Product
from eqcli.geometry.products.so2_weights import weights_from_clebsch_gordan
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.metrics.cost import median_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--edges", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--degrees", default="2,4,6")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [row for degree in map(int, options.degrees.split(",")) for row in measure(degree, options)]
    for row in rows:
        print(
            " ".join(
                f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items()
            )
        )
    if options.output:
        options.output.write_text(json.dumps({"settings": vars(options), "rows": rows}, indent=1, default=str))


def measure(degree: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Times in ms of the three programs, forward and with the gradient by features and weights."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    irreps = natural(degree, options.channels)
    peer = o3.FullyConnectedTensorProduct(irreps, natural(degree), irreps, shared_weights=True, internal_weights=False)
    peer = peer.to(device)
    product = SO2Product(degree, options.channels)
    peer_weight = torch.randn(peer.weight_numel)
    weight = weights_from_clebsch_gordan(product, peer_weight.double(), degree).float().to(device)
    product, peer_weight = product.to(device), peer_weight.to(device)
    x = torch.randn(options.edges, irreps.dim, device=device)
    directions = torch.nn.functional.normalize(torch.randn(options.edges, 3, device=device), dim=1)
    harmonics = SphericalHarmonics(degree).to(device)(directions)
    x_peer = to_e3nn(x, irreps)
    rotation = product.rotation(directions)
    error = (to_e3nn(product.convolve(x, rotation, weight), irreps) - peer(x_peer, harmonics, peer_weight)).abs().max()
    calls: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "e3nn": lambda x, w: peer(x, harmonics, w),
        "shared": lambda x, w: product.convolve(x, rotation, w),
        "whole": lambda x, w: product(x, directions, w),
    }
    arguments = {"e3nn": (x_peer, peer_weight), "shared": (x, weight), "whole": (x, weight)}
    found: list[dict[str, object]] = []
    for mode in ("forward", "gradient"):
        actions = [action(calls[name], *arguments[name], mode) for name in calls]
        for each in actions:
            each()
        times = [1e3 * seconds for seconds in median_seconds(actions, device, budget_s=20, least=5)]
        row: dict[str, object] = {"L": degree, "edges": options.edges, "mode": mode, "largest difference": float(error)}
        row |= {f"{name} ms": value for name, value in zip(calls, times, strict=True)}
        found.append(row | {"ratio shared": times[0] / times[1], "ratio whole": times[0] / times[2]})
    return found


def action(call: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, mode: str) -> Callable[[], object]:
    if mode == "forward":

        def forward() -> object:
            with torch.no_grad():
                return call(x, weight)

        return forward
    leaves = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    direction = torch.randn_like(call(x, weight))
    return lambda: torch.autograd.grad((call(*leaves) * direction).sum(), leaves)


if __name__ == "__main__":
    main()
