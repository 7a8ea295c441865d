"""Runs in an environment with torchmd-net (`make peers`): times its TensorNet and writes reference results.

    .venv-tensornet/bin/python tests/benchmarks/peer_tensornet.py time CONFIG.json
    .venv-tensornet/bin/python tests/benchmarks/peer_tensornet.py reference FOLDER

Exchanges files only: it shares no code with the package that it is compared with.
"""

from __future__ import annotations

import json
import logging
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path

import ase
import ase.build
import ase.io
import lightning
import numpy as np
import torch
from ase.neighborlist import neighbor_list
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torchmdnet.models import tensornet
from torchmdnet.models.model import create_model, load_model
from torchmdnet.module import LNNP
from torchmdnet.priors import Atomref
from torchmdnet.scripts.train import get_argparse

warnings.filterwarnings("ignore")

KERNELS = ("compose_tensor", "decompose_tensor", "tensor_matmul_o3", "tensor_matmul_so3")
WARP = {name: getattr(tensornet, name) for name in KERNELS}


def use_kernels(warp: bool) -> None:
    """The peer's kernels of warp, or its plain ones, in models made from now on."""
    tensornet.OPT = warp
    for name in KERNELS:
        setattr(tensornet, name, WARP[name] if warp else getattr(tensornet, f"_{name}"))


def arguments(config: dict, precision: int) -> dict:
    """The peer's own hyper-parameters, its defaults where `config` says nothing."""
    return {
        **vars(get_argparse().parse_args([])),
        "model": "tensornet", "precision": precision, "derivative": True, "max_num_neighbors": 100,
        "static_shapes": False, "output_model": "Scalar", "reduce_op": "sum", **config,
    }  # fmt: skip


class GivenNeighbours(torch.nn.Module):
    """The neighbours of one batch in place of a search, self-loops included as the peer has them."""

    def __init__(self, frames: list[ase.Atoms], cutoff: float) -> None:
        super().__init__()
        first, second, offsets, start = [], [], [], 0
        for atoms in frames:
            i, j, shift = neighbor_list("ijS", atoms, cutoff)
            loops = np.arange(len(atoms))
            first.append(np.concatenate([i, loops]) + start)
            second.append(np.concatenate([j, loops]) + start)
            offsets.append(np.concatenate([shift @ atoms.cell.array, np.zeros((len(atoms), 3))]))
            start += len(atoms)
        index = np.stack([np.concatenate(first), np.concatenate(second)])
        self.register_buffer("index", torch.from_numpy(index))
        self.register_buffer("offset", torch.from_numpy(np.concatenate(offsets)).float())
        self.register_buffer("loop", self.index[0] == self.index[1])

    def forward(self, pos, batch=None, box=None):  # type: ignore[no-untyped-def]
        vectors = pos[self.index[0]] - pos[self.index[1]] - self.offset
        lengths = torch.where(self.loop, 0.0, torch.where(self.loop.unsqueeze(1), 1.0, vectors).norm(dim=1))
        return self.index, lengths, vectors


def median_seconds(action, repeats: int, warmup: int = 2) -> float:
    for _ in range(warmup):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_model(job: dict) -> dict:
    """Median seconds of one task (`train` or `predict`) and the peak memory of this process in MB."""
    torch.set_num_threads(job["threads"])
    use_kernels(job["warp"])
    torch.manual_seed(0)
    frames = ase.io.read(job["frames"], ":")
    c = job["config"]
    model = create_model(arguments({
        "embedding_dimension": c["channels"], "num_layers": c["num_layers"], "num_rbf": c["num_radial_basis"],
        "cutoff_upper": c["cutoff"],
    }, 32)).to(job["device"])  # fmt: skip
    model.representation_model.distance = GivenNeighbours(frames, c["cutoff"]).to(job["device"])
    numbers = torch.from_numpy(np.concatenate([a.numbers for a in frames])).long().to(job["device"])
    positions = torch.from_numpy(np.concatenate([a.positions for a in frames])).float().to(job["device"])
    counts = torch.tensor([len(a) for a in frames])
    batch = torch.repeat_interleave(torch.arange(len(frames)), counts).to(job["device"])
    wait = torch.cuda.synchronize if job["device"] == "cuda" else lambda: None
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if job["task"] == "train":
        model.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, amsgrad=True)

        def action() -> None:
            optimizer.zero_grad()
            energy, forces = model(numbers, positions.detach(), batch)
            loss = (energy**2).mean() + 100 * (forces**2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            wait()
    else:
        model.eval()
        for p in model.parameters():
            p.requires_grad_(False)

        def action() -> None:
            model(numbers, positions.detach(), batch)
            wait()

    seconds = median_seconds(action, job["repeats"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if job["device"] == "cuda":
        base, peak = 0.0, torch.cuda.max_memory_allocated() / 2**20
    edges = model.representation_model.distance.index.shape[1] - len(positions)
    return {"seconds": seconds, "peak_MB": peak - base, "edges": int(edges)}


BASE = {
    "embedding_dimension": 8, "num_layers": 2, "num_rbf": 6, "cutoff_lower": 0.0, "cutoff_upper": 4.5, "max_z": 20,
    "lr": 0.02,
}  # fmt: skip
VARIANTS = {
    "two-layers": {},
    "old-names": {"old": True, "num_layers": 1},
    "old-so3": {"old": True, "equivariance_invariance_group": "SO(3)"},
    "one-layer": {"num_layers": 1, "rbf_type": "gauss"},
    "embedding": {"num_layers": 0, "cutoff_upper": 5.0},
    "so3": {"equivariance_invariance_group": "SO(3)", "trainable_rbf": True, "warp": True},
    "atomref": {"prior_model": ["Atomref"], "prior_args": [{"max_z": 20}], "max_z": 20},
    "scaled": {"std": 2.5},
    "charge": {"charge": True},
    "so3-charge": {"equivariance_invariance_group": "SO(3)", "charge": True, "warp": True},
    "gauss-trainable": {"num_layers": 1, "rbf_type": "gauss", "trainable_rbf": True},
    "shifted": {"mean": 3.0},
    "float32": {"precision": 32, "warp": True},
}  # fmt: skip


def reference_structures() -> list[ase.Atoms]:
    """A molecule, an ion, a skewed crystal whose cell exceeds two cutoffs, and an isolated atom."""
    ethanol = ase.build.molecule("CH3CH2OH")
    ethanol.rattle(0.1, seed=1)
    ammonium = ase.Atoms(
        "NH4", positions=[[0, 0, 0], [0.6, 0.6, 0.7], [-0.6, -0.6, 0.6], [0.6, -0.7, -0.6], [-0.6, 0.6, -0.6]]
    )
    ammonium.info["charge"] = 1
    cell = np.array([[10.5, 0, 0], [1.3, 10.8, 0], [-0.9, 1.7, 11.1]])
    places = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), -1).reshape(-1, 3)
    crystal = ase.Atoms("COH" * 9, scaled_positions=places, cell=cell, pbc=True)
    crystal.rattle(0.3, seed=2)
    return [ethanol, ammonium, crystal, ase.Atoms("O", positions=[[0, 0, 0]])]


def tensors(atoms: ase.Atoms, dtype: torch.dtype) -> dict:
    found = {"z": torch.from_numpy(atoms.numbers).long(), "pos": torch.from_numpy(atoms.positions).to(dtype)}
    if atoms.pbc.all():
        found["box"] = torch.from_numpy(atoms.cell.array).to(dtype).unsqueeze(0)
    return found


def train(config: dict, frames: list[ase.Atoms]) -> lightning.Trainer:
    """A few steps on arbitrary labels, so that no weight is at its initial value; the trainer can save it."""
    settings = arguments(
        {**BASE, **{k: v for k, v in config.items() if k not in ("mean", "std", "old", "warp")}},
        config.get("precision", 64),
    )
    settings["remove_ref_energy"] = False
    prior = None
    if settings["prior_model"]:
        prior = [Atomref(max_z=20)]
        prior[0].initial_atomref.copy_(torch.linspace(-0.5, -40.0, 20).view(-1, 1))
        prior[0].reset_parameters()
    mean, std = (torch.tensor(config.get(k, d), dtype=torch.float64) for k, d in (("mean", 0.0), ("std", 1.0)))
    model = LNNP(settings, prior_model=prior, mean=mean, std=std)
    data = []
    for k, atoms in enumerate(frames[:2]):
        rng = np.random.default_rng(k)
        item = Data(**tensors(atoms, torch.float64), y=torch.tensor([[float(k)]]).double())
        item.neg_dy = torch.from_numpy(rng.normal(size=(len(atoms), 3)))
        item.q = torch.tensor([float(atoms.info.get("charge", 0))])
        data.append(item)
    loader = DataLoader(data, batch_size=2)
    trainer = lightning.Trainer(
        max_epochs=5, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, loader, loader)
    with torch.no_grad():
        # Fresh features are so small that interactions would hardly count.
        for name, parameter in model.named_parameters():
            if "linears_tensor" in name:
                parameter.mul_(12.0 if "embedding" in name else 3.0)
    return trainer


def make_old(path: Path) -> None:
    """A checkpoint as versions before 3 wrote it: factors of a channel side by side, other names of the readout."""
    content = torch.load(path, weights_only=False)
    weights = {}
    for name, value in content["state_dict"].items():
        if ("embedding.linears_scalar.1." in name) or ("layers." in name and "linears_scalar.2." in name):
            value = value.view(3, -1, *value.shape[1:]).transpose(0, 1).reshape(value.shape)
        weights[name.replace("output_network.layers.", "output_network.")] = value
    content["state_dict"] = weights
    content["hyper_parameters"]["check_errors"] = True
    torch.save(content, path)


def write_reference(folder: Path) -> None:
    """Checkpoints of models with all weights at random, and their energies and forces on a few structures."""
    logging.getLogger("lightning").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    ase.io.write(folder / "structures.extxyz", reference_structures())
    # The file rounds positions: read it back, so that both sides see the same numbers.
    frames = ase.io.read(folder / "structures.extxyz", ":")
    for name, config in VARIANTS.items():
        torch.manual_seed(1)
        # The plain kernels are exact in float64. Those of warp round 1/3 to float32, and for SO(3) they take the
        # transpose of the plain ones.
        use_kernels(config.get("warp", False))
        train(config, frames).save_checkpoint(folder / f"{name}.ckpt")
        if config.get("old"):
            make_old(folder / f"{name}.ckpt")
        model = load_model(str(folder / f"{name}.ckpt")).eval()
        dtype = next(model.parameters()).dtype
        results = []
        for atoms in frames:
            charge = torch.tensor([float(atoms.info.get("charge", 0))], dtype=dtype) if config.get("charge") else None
            energy, forces = model(**tensors(atoms, dtype), q=charge)
            results.append({"energy": energy.item(), "forces": forces.tolist()})
        (folder / f"{name}.json").write_text(json.dumps(results))
    (folder / "variants.json").write_text(json.dumps(VARIANTS))


if __name__ == "__main__":
    if sys.argv[1] == "time":
        print(json.dumps(time_model(json.loads(Path(sys.argv[2]).read_text()))))
    else:
        write_reference(Path(sys.argv[2]))
