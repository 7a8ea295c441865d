"""Commands that are killed at random moments and go on, against the same commands undisturbed.

    python -m tests.benchmarks.kills [predict relax generate train] [--kills 20] [--seed 0] [--folder FOLDER]

Each command is run once undisturbed. Then it is started again, killed with SIGKILL at a moment drawn from the whole
undisturbed time, started again with --resume, and so on; when a run comes to its end before its moment, what it made is
compared with what the undisturbed run made, and the next begins anew. The last is let run to its end. Compared are all
columns of datasets and all tensors of models and rows of metrics, to the last bit.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from eqcli.engine.model_file import make_potential, save_model
from eqcli.io import DatasetFile, DatasetWriter, Structure, read_structures
from eqcli.models.potentials.config import MACEConfig

ROOT = Path(__file__).resolve().parents[2]
ETHANOL = ROOT / "data" / "ethanol" / "train.extxyz"

RECIPE = """
eqcli: 1
task: train
name: kills
seed: 0
data: {{train: {data}, split: {{valid: 10}}, reference_energies: isolated}}
model: {{name: mace, cutoff: 4.0, channels: 4, max_L: 0, max_ell: 1, correlation: 2, num_interactions: 2}}
training: {{max_epochs: 10, batch: {{structures: 10}}, precision: float64}}
"""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes
    ----------
    words
        Without the output.
    outputs
        Names below the folder of a run, of which the first is given with -o.
    same
        Whether the files of two folders hold the same.
    """

    name: str
    words: list[str]
    outputs: Sequence[str]
    same: Callable[[Path, Path], bool]


def make_cases(folder: Path) -> list[Case]:
    """Models and inputs in a folder, and the commands that use them."""
    model = potential(folder / "mace.safetensors")
    many, few = rattled(folder / "many.h5", 1500), rattled(folder / "few.h5", 40)
    crystals = generator(folder / "flow.safetensors")
    (folder / "recipe.yaml").write_text(RECIPE.format(data=ETHANOL))
    small = ["--batch-atoms", "90", "--device", "cpu"]
    relaxing = ["--fmax", "0.001", "--steps", "40", "--trajectory", "relaxed-trajectory.h5"]
    end = "relaxed.h5", "relaxed-trajectory.h5"
    return [
        Case("predict", ["predict", str(model), str(many), *small], ["out.h5"], same_datasets(["out.h5"])),
        Case("relax", ["relax", str(model), str(few), *relaxing, *small], end, same_datasets(end)),
        Case(
            "generate",
            ["generate", str(crystals), "--n", "200", "--formula", "TiO2", "--batch-atoms", "50", "--device", "cpu"],
            ["made.h5"],
            same_datasets(["made.h5"]),
        ),
        Case("train", ["train", str(folder / "recipe.yaml"), "--device", "cpu"], ["run"], same_training),
    ]


def potential(path: Path) -> Path:
    """A small MACE with random weights."""
    torch.manual_seed(0)
    config = MACEConfig(cutoff=4.0, channels=8, max_L=1, max_ell=2, correlation=2, num_interactions=2)
    made = make_potential(config, [1, 6, 8]).double()
    save_model(path, made, training={}, provenance={})
    return path


def generator(path: Path) -> Path:
    """A small flow with random weights."""
    from tests.generator_case import NETWORKS
    from tests.generator_case import generator as make

    made = make({"name": "flowmm", "sampling": {"steps": 10}, "denoiser": NETWORKS["cspnet"]})
    save_model(path, made, training={}, provenance={})
    return path


def rattled(path: Path, count: int) -> Path:
    """Ethanol, shaken by 0.1 Å."""
    first = next(one for one in read_structures(ETHANOL) if len(one) > 1)
    with DatasetWriter(path) as writer:
        for k in range(count):
            shift = 0.1 * np.random.default_rng(k).normal(size=first.positions.shape)
            writer.append(Structure(first.numbers, first.positions + shift))
    return path


def same_datasets(names: Sequence[str]) -> Callable[[Path, Path], bool]:
    """Compares all columns of these files."""

    def same(one: Path, other: Path) -> bool:
        return all(columns(one / name) == columns(other / name) for name in names)

    return same


def columns(path: Path) -> dict[str, bytes]:
    """Every column of a dataset as bytes."""
    with DatasetFile(path) as file:
        return {name: values.tobytes() for name, values in file.raw(0, len(file)).items()}


def same_training(one: Path, other: Path) -> bool:
    """Compares weights and logged figures but times."""
    found, expected = (load_file(folder / "run" / "model.safetensors") for folder in (one, other))
    weights = found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    return weights and logged(one) == logged(other)


def logged(folder: Path) -> list[dict[str, str]]:
    """Rows of the metrics, without what depends on the clock."""
    with (folder / "run" / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if "second" not in k and "time" not in k} for row in csv.DictReader(file)]


def start(case: Case, folder: Path, resume: bool) -> subprocess.Popen[bytes]:
    """The command in a process group of its own; what it says goes to a file."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "eqcli", *case.words, "-o", case.outputs[0], *(["--resume"] if resume else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, env=environment, start_new_session=True)


def ended_well(case: Case, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Raises where a command ended otherwise than with 0, or 3 and 4 of relaxations that come to no good end."""
    if process.returncode not in (0, 3, 4):
        raise SystemExit(f"{case.name} ended with {process.returncode}:\n{(folder / 'said.txt').read_text()[-2000:]}")


def is_begun(case: Case, folder: Path) -> bool:
    """Whether a killed run left anything to go on with; --resume of a training needs it."""
    return (folder / case.outputs[0]).exists() or case.name != "train"


def is_complete(case: Case, folder: Path) -> bool:
    """Whether it was killed after its end, when the output was in place and nothing was left to go on with."""
    if case.name == "train" or not all((folder / name).exists() for name in case.outputs):
        return False
    return not (folder / f"{case.outputs[0]}.work").exists()


def disturb(case: Case, folder: Path, kills: int, generator: random.Random) -> tuple[float, int, int, int]:
    """Undisturbed seconds, kills, runs compared with the undisturbed one, and those that were the same."""
    begin = time.monotonic()
    whole = start(case, folder / "whole", resume=False)
    whole.wait()
    ended_well(case, whole, folder / "whole")
    seconds = time.monotonic() - begin
    # One in each of as many equal parts of the time, in any order.
    moments = [(k + generator.random()) / kills * seconds for k in range(kills)]
    generator.shuffle(moments)
    done = compared = same = 0
    place, resume = folder / "run-0", False
    while True:
        process, begin = start(case, place, resume and is_begun(case, place)), time.monotonic()
        try:
            process.wait(moments[done] if done < kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            done, resume = done + 1, True
            if not is_complete(case, place):
                continue
        else:
            ended_well(case, process, place)
            if not resume and done < kills:  # the machine is faster than it was: no whole run would live to the moment
                moments[done] = generator.random() * (time.monotonic() - begin)
        compared += 1
        same += case.same(place, folder / "whole")
        if done >= kills:
            return seconds, done, compared, same
        shutil.rmtree(place)
        place, resume = folder / f"run-{compared}", False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    print("command    undisturbed  kills  runs compared  the same", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for case in make_cases(Path(name)):
            if given.names and case.name not in given.names:
                continue
            generator = random.Random(given.seed)
            seconds, kills, compared, same = disturb(case, Path(name) / case.name, given.kills, generator)
            print(f"{case.name:<10} {seconds:9.1f} s  {kills:5}  {compared:13}  {same:8}", flush=True)


if __name__ == "__main__":
    main()
