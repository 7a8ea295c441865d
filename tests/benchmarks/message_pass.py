"""Messages of eqcli and of e3nn, the same function on the same numbers, in one run.

python -m tests.benchmarks.message_pass [--device cuda] [--threads 2] [--per-atom 20] [--uneven] [-o F.json]

e3nn's part is its TensorProduct "uvu" with weights per edge, after a gather and before an index_add. The two
take turns; times are medians. Peak memory is the growth over the arguments, on a processor that of the resident
size of a process of its own for each figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from eqcli.geometry.irreps import natural, to_e3nn
from eqcli.nn.backend import Backend
from eqcli.nn.message_maps import MessageEdges
from eqcli.nn.message_pass import MessagePass, message_irreps
from tests.nn.message_reference import E3nnMessages, random_arguments

MODES = ("forward", "gradient", "double gradient")
WHO = ("eqcli", "e3nn")


class Case:
    """Features to degree 2, harmonics and results to degree 3, natural parity: 17 paths."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        device, generator = torch.device(arguments.device), torch.Generator().manual_seed(0)
        irreps_in, irreps_edge = natural(2, arguments.channels), natural(3)
        irreps_out = message_irreps(irreps_in, irreps_edge, irreps_edge)
        self.layer = MessagePass.from_irreps(irreps_in, irreps_edge, irreps_edge, Backend(arguments.backend))
        n_atoms = arguments.edges // arguments.per_atom
        receiver = torch.arange(n_atoms).repeat_interleave(arguments.per_atom)
        if arguments.uneven:
            receiver = torch.randint(n_atoms, (arguments.edges,), generator=generator).sort().values
        sender = torch.randint(n_atoms, (len(receiver),), generator=generator)
        self.edges = MessageEdges(sender.to(device), receiver.to(device), n_atoms)
        on_cpu = MessageEdges(sender, receiver, n_atoms)
        dtype = getattr(torch, arguments.dtype)
        drawn = [random_arguments(self.layer.form, on_cpu, arguments.channels, dtype, seed) for seed in (0, 1)]
        rows = (n_atoms, self.layer.form.rows_out, arguments.channels)
        v = torch.randn(rows, generator=generator, dtype=torch.float64).to(dtype)
        theirs = E3nnMessages(self.layer.form, irreps_in, irreps_edge, irreps_out, dtype)
        theirs.product.to(device)
        signs = theirs.signs.to(dtype)
        self.arguments: dict[str, tuple[Tensor, list[Tensor], list[Tensor]]] = {}
        self.arguments["eqcli"] = on(device, v, *drawn)
        turned = [[to_e3nn(h.flatten(1), irreps_in), w * signs, y] for h, w, y in drawn]
        self.arguments["e3nn"] = on(device, to_e3nn(v.flatten(1), irreps_out), *turned)
        self.functions = {"eqcli": self.layer, "e3nn": theirs}

    def action(self, who: str, mode: str) -> Callable[[], list[Tensor]]:
        function = self.functions[who]
        v, inputs, cotangents = self.arguments[who]

        def forward() -> list[Tensor]:
            with torch.no_grad():
                return [function(*inputs, self.edges)]

        def gradient() -> list[Tensor]:
            return list(torch.autograd.grad(function(*inputs, self.edges), inputs, v))

        def double_gradient() -> list[Tensor]:
            first = torch.autograd.grad(function(*inputs, self.edges), inputs, v, create_graph=True)
            return list(torch.autograd.grad(first, [v, *inputs], cotangents))

        return {"forward": forward, "gradient": gradient, "double gradient": double_gradient}[mode]


def on(
    device: torch.device, v: Tensor, inputs: Iterable[Tensor], cotangents: Iterable[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    moved = [x.to(device).requires_grad_(True) for x in (v, *inputs)]
    return moved[0], moved[1:], [x.to(device) for x in cotangents]


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    case = Case(arguments)
    wait = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    report: dict[str, object] = {**vars(arguments), "torch": torch.__version__}
    for mode in MODES:
        actions = {who: case.action(who, mode) for who in WHO}
        times: dict[str, list[float]] = {who: [] for who in WHO}
        for repeat in range(arguments.repeats + 1):
            for who, action in actions.items():
                wait()
                start = time.perf_counter()
                action()
                wait()
                if repeat:  # the first time is not counted
                    times[who].append(1e3 * (time.perf_counter() - start))
        row: dict[str, float] = {f"{who}_ms": statistics.median(times[who]) for who in WHO}
        row |= {f"{who}_peak_MB": peak_memory(arguments, who, mode, actions[who]) for who in WHO}
        for quantity in ("ms", "peak_MB"):
            row[f"{quantity}_ratio"] = row[f"e3nn_{quantity}"] / row[f"eqcli_{quantity}"]
        report[mode] = {name: round(value, 2) for name, value in row.items()}
        print(mode, report[mode], flush=True)
    return report


def peak_memory(arguments: argparse.Namespace, who: str, mode: str, action: Callable[[], list[Tensor]]) -> float:
    """Growth of the peak in MB: of the allocator on a GPU, of the resident size of a fresh process on a processor."""
    if arguments.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        action()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    command = [sys.executable, "-m", "tests.benchmarks.message_pass", *sys.argv[1:], "--peak", who, mode]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def resident_growth(arguments: argparse.Namespace) -> float:
    who, mode = arguments.peak
    case = Case(arguments)
    del case.arguments[WHO[1 - WHO.index(who)]]
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    before = status("VmRSS")
    case.action(who, mode)()
    return (status("VmHWM") - before) / 1024


def status(field: str) -> int:
    """A line of /proc/self/status, in kB."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--edges", type=int, default=20_000)
    parser.add_argument("--per-atom", type=int, default=20)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--uneven", action="store_true", help="numbers of neighbours vary from atom to atom")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        print(resident_growth(arguments))
        return
    report = measure(arguments)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
