"""Stability and validity of generated molecules against network calls, for several generators or settings.

    python tests/benchmarks/molecule_steps.py --n 1000 --output docs/benchmarks/molecule-steps \\
        --run flow-matching runs/flow/model.safetensors steps=20,50,100,1000 \\
        --run edm runs/edm/model.safetensors steps=1000 method=ancestral \\
        --run edm runs/edm/model.safetensors steps=50,100 method=heun,ddim

makes `--n` molecules with every combination of the settings, judges them by the bond rule and, where there are any, by
their own bonds, and writes OUTPUT.json and OUTPUT.svg. `molecules.h5` of every setting is kept with `--keep FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generator_calls import MARKERS, settings_of

from eqcli.engine.provenance import provenance
from eqcli.io import read_structures
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.judge import Judging, judge
from eqcli.metrics.molecules.table import figures
from eqcli.report.svg import INK, SERIES, Plot, document_of, figure, logarithmic
from eqcli.tasks.generate import generate

SHOWN = ("atom_stability", "molecule_stability", "valid", "connected", "valid_and_connected", "unique")


def measure(model: Path, sampling: dict[str, Any], n: int, valences: str, output: Path) -> dict[str, Any]:
    """Network calls, seconds and figures of one setting."""
    started = time.process_time()
    result = generate(model, output, n=n, sampling=sampling, overwrite=True)
    seconds = time.process_time() - started
    made = list(read_structures(output))
    found = {"rule": judged(made, "rule", valences)}
    if all("bonds" in structure.info for structure in made):
        found["own"] = judged(made, "own", valences)
    return {"calls": result.calls, "cpu_seconds": seconds, "molecules_per_second": len(made) / seconds, **found}


def judged(molecules: list[Structure], bonds: str, valences: str) -> dict[str, tuple[float, ...]]:
    """The figures with their intervals."""
    settings = Judging(bonds=bonds, valences=valences)  # type: ignore[arg-type]
    found = figures([judge(molecule, settings) for molecule in molecules])
    return {name: tuple(found[name]) for name in SHOWN}


def draw(rows: list[dict[str, Any]]) -> str:
    """Atom stability and validity against calls, an SVG document."""
    names = list(dict.fromkeys(row["label"] for row in rows))
    with figure(8.4, 4.2) as drawn:
        left, right = drawn.subplots(1, 2)
        for index, name in enumerate(names):
            own = sorted((row for row in rows if row["label"] == name), key=lambda row: row["calls"])
            for axes, key in ((left, "atom_stability"), (right, "valid_and_connected")):
                calls, value, low, high = np.array([(row["calls"], *row["rule"][key]) for row in own]).T
                style = {"marker": MARKERS[index % len(MARKERS)], "color": SERIES[index % len(SERIES)]}
                axes.errorbar(calls, value, yerr=[value - low, high - value], capsize=2, **style,
                              label=name if axes is left else None)  # fmt: skip
        for axes, title in ((left, "atom stability"), (right, "valid and connected")):
            logarithmic(axes, "x")
            axes.set_xlabel("network calls for a molecule", color=INK)
            axes.set_ylabel(title)
        drawn.legend(loc="outside upper center", ncols=3)
        document = document_of(drawn)
    text = "Stability and validity by the bond rule against the network calls of a molecule."
    return Plot("calls", "Quality against network calls", "", text, document).standalone()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--run", nargs="+", action="append", metavar="LABEL MODEL NAME=VALUES", required=True)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--valences", default="sulphur-246")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for label, model, *texts in arguments.run:
            for sampling in settings_of(texts):
                kept = ", ".join(f"{name} {value}" for name, value in sampling.items() if name != "steps")
                name = f"{label}, {kept}" if kept else label
                output = folder / f"{name}, {sampling.get('steps', 'default')}.h5".replace(" ", "-").replace(",", "")
                found = measure(Path(model), sampling, arguments.n, arguments.valences, output)
                rows.append({"label": name, "sampling": sampling, **found})
                print(json.dumps(rows[-1]), flush=True)
    content = {"n": arguments.n, "valences": arguments.valences, "rows": rows, "provenance": provenance()}
    arguments.output.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
