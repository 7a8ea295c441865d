"""Runs in the peers' environment (`make peers`): times mace-torch and writes reference results.

    .venv-peers/bin/python tests/benchmarks/peer_mace.py time CONFIG.json
    .venv-peers/bin/python tests/benchmarks/peer_mace.py reference FOLDER

Exchanges files only: it shares no code with the package that it is compared with.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
# The old e3nn that the peer pins loads its constants with pickle; this is its own environment.
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

import ase.build  # noqa: E402 (the environment above must be set first)
import ase.io  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from e3nn import o3  # noqa: E402
from mace import data, modules, tools  # noqa: E402
from mace.tools import torch_geometric  # noqa: E402


def build(config: dict, elements: list[int], e0: list[float], neighbours: float) -> torch.nn.Module:
    """A randomly initialised ScaleShiftMACE with the hyper-parameters of `config`."""
    blocks = {
        "residual": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        "agnostic": modules.interaction_classes["RealAgnosticInteractionBlock"],
        "density": modules.interaction_classes["RealAgnosticDensityInteractionBlock"],
        "residual-density": modules.interaction_classes["RealAgnosticDensityResidualInteractionBlock"],
    }
    c = config["channels"]
    hidden = "+".join(f"{c}x{degree}{'eo'[degree % 2]}" for degree in range(config["max_L"] + 1))
    return modules.ScaleShiftMACE(
        r_max=config["cutoff"],
        num_bessel=config["num_radial_basis"],
        num_polynomial_cutoff=config["num_cutoff_basis"],
        max_ell=config["max_ell"],
        interaction_cls=blocks[config["interaction"]],
        interaction_cls_first=blocks[config["interaction_first"]],
        num_interactions=config["num_interactions"],
        num_elements=len(elements),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps(config["MLP_irreps"]),
        atomic_energies=np.array(e0),
        avg_num_neighbors=neighbours,
        atomic_numbers=elements,
        correlation=config["correlation"],
        gate=torch.nn.functional.silu,
        radial_MLP=list(config["radial_MLP"]),
        radial_type=config["radial_type"],
        distance_transform={"none": "None", "agnesi": "Agnesi", "soft": "Soft"}[config["distance_transform"]],
        pair_repulsion=bool(config["zbl"]),
        atomic_inter_scale=0.8 if "heads" not in config else [0.8, 1.7],
        atomic_inter_shift=0.1 if "heads" not in config else [0.1, -0.4],
        heads=config.get("heads"),
    )


def batch_of(frames: list, elements: list[int], cutoff: float, heads: list[str] | None = None) -> dict:
    """The peer's own batch of ASE frames."""
    table = tools.AtomicNumberTable(elements)
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    items = []
    for atoms in frames:
        atoms.info["REF_energy"] = 0.0
        atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
        configuration = data.config_from_atoms(atoms, key_specification=keys)
        if heads:
            configuration.head = heads[-1]
        items.append(data.AtomicData.from_config(configuration, z_table=table, cutoff=cutoff, heads=heads))
    loader = torch_geometric.dataloader.DataLoader(items, batch_size=len(items), shuffle=False)
    return next(iter(loader))


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
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    frames = ase.io.read(job["frames"], ":")
    elements = sorted({int(z) for atoms in frames for z in atoms.numbers})
    batch = batch_of(frames, elements, job["config"]["cutoff"]).to(job["device"])
    neighbours = batch.edge_index.shape[1] / len(batch.batch)
    model = build(job["config"], elements, [0.0] * len(elements), neighbours).to(job["device"])
    wait = torch.cuda.synchronize if job["device"] == "cuda" else lambda: None
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if job["task"] == "train":
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, amsgrad=True)

        def action() -> None:
            optimizer.zero_grad()
            out = model(batch.to_dict(), training=True, compute_force=True)
            loss = (out["energy"] ** 2).mean() + 100 * (out["forces"] ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            wait()
    else:
        model.eval()
        for p in model.parameters():
            p.requires_grad_(False)

        def action() -> None:
            model(batch.to_dict(), training=False, compute_force=True)
            wait()

    seconds = median_seconds(action, job["repeats"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if job["device"] == "cuda":
        base, peak = 0.0, torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": seconds, "peak_MB": peak - base, "edges": int(batch.edge_index.shape[1])}


REFERENCE_CONFIG = {
    "cutoff": 5.0, "channels": 8, "max_L": 1, "max_ell": 3, "correlation": 3, "num_interactions": 2,
    "num_radial_basis": 8, "num_cutoff_basis": 5, "radial_type": "bessel", "distance_transform": "none",
    "radial_MLP": [16, 16], "MLP_irreps": "4x0e", "interaction_first": "residual", "interaction": "residual",
    "zbl": None,
}  # fmt: skip
REFERENCE_VARIANTS = {
    "residual": {},
    "agnostic": {"interaction_first": "agnostic", "max_L": 2, "num_interactions": 3},
    "scalar": {"max_L": 0, "correlation": 2, "max_ell": 2},
    "density": {
        "interaction_first": "density", "interaction": "residual-density", "distance_transform": "agnesi", "zbl": {},
    },
    "soft": {
        "interaction_first": "residual-density", "distance_transform": "soft", "radial_type": "gaussian",
        "correlation": 1,
    },
    "heads": {"heads": ["first", "second"]},
}  # fmt: skip


def reference_structures() -> list[ase.Atoms]:
    """A molecule, a skewed crystal, a one-atom cell and an isolated atom."""
    ethanol = ase.build.molecule("CH3CH2OH")
    ethanol.rattle(0.1, seed=1)
    fractions = [[0, 0, 0], [0.5, 0.4, 0.1], [0.2, 0.8, 0.6], [0.7, 0.1, 0.55]]
    cell = [[4, 0.3, 0], [0, 4.4, 0.2], [0.5, 0, 3.9]]
    crystal = ase.Atoms("OC2H", scaled_positions=fractions, cell=cell, pbc=True)
    single = ase.Atoms("C", positions=[[0.1, 0.2, 0.3]], cell=np.eye(3) * 2.4, pbc=True)
    return [ethanol, crystal, single, ase.Atoms("O", positions=[[0, 0, 0]])]


def write_reference(folder: Path) -> None:
    """Models with random weights in float64 and their energies, forces and stresses on a few structures."""
    torch.set_default_dtype(torch.float64)
    folder.mkdir(parents=True, exist_ok=True)
    ase.io.write(folder / "structures.extxyz", reference_structures())
    # The file rounds positions: read it back, so that both sides see the same numbers.
    frames = ase.io.read(folder / "structures.extxyz", ":")
    configs = {name: {**REFERENCE_CONFIG, **changes} for name, changes in REFERENCE_VARIANTS.items()}
    elements = sorted({int(z) for atoms in frames for z in atoms.numbers})
    for name, config in configs.items():
        torch.manual_seed(1)
        heads = config.get("heads")
        e0 = [[-1.5 * z * (1 + i) for z in elements] for i in range(len(heads or [""]))]
        model = build(config, elements, e0 if heads else e0[0], 7.3)
        torch.save(model, folder / f"{name}.model")
        results = []
        for atoms in frames:
            batch = batch_of([atoms], elements, config["cutoff"], heads)
            periodic = bool(atoms.pbc.all())
            out = model(batch.to_dict(), compute_force=True, compute_stress=periodic)
            stress = out["stress"][0].tolist() if periodic else None
            results.append({"energy": out["energy"].item(), "forces": out["forces"].tolist(), "stress": stress})
        (folder / f"{name}.json").write_text(json.dumps(results))
    (folder / "configs.json").write_text(json.dumps(configs))


if __name__ == "__main__":
    if sys.argv[1] == "time":
        print(json.dumps(time_model(json.loads(Path(sys.argv[2]).read_text()))))
    else:
        write_reference(Path(sys.argv[2]))
