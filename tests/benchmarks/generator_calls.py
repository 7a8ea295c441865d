"""Match rate and RMSE of structure prediction against network calls, for several generators or settings.

    python tests/benchmarks/generator_calls.py --reference run/data/valid.h5 --output docs/benchmarks/generator-calls \\
        --run flowmm runs/flowmm/model.safetensors steps=10,20,50,100 slope=0,3,5 \\
        --run diffcsp runs/diffcsp/model.safetensors steps=20,100,1000

makes one structure (`--k` of them) for each composition of the reference with every combination of the settings,
compares them by the published tolerances, and writes OUTPUT.json and OUTPUT.svg. Choose settings on the validation
part; measure the chosen ones on the test part.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqcli.engine.provenance import provenance
from eqcli.io import read_structures
from eqcli.metrics.crystals.prediction import PredictionScores, structure_prediction
from eqcli.metrics.statistics import mean_interval, mean_of_known_interval
from eqcli.report.svg import INK, SERIES, Plot, document_of, figure, logarithmic
from eqcli.tasks.generate import generate

MARKERS = ("o", "s", "^", "D", "v", "P")


def settings_of(texts: list[str]) -> list[dict[str, float | int | str]]:
    """Every combination of `name=a,b,c` texts."""
    named = [text.partition("=")[::2] for text in texts]
    values = [[(name, _value(v)) for v in text.split(",")] for name, text in named]
    return [dict(chosen) for chosen in itertools.product(*values)]


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def measure(model: Path, reference: Path, sampling: dict[str, Any], k: int, limit: int | None) -> dict[str, Any]:
    """Network calls, seconds and scores of one setting."""
    targets = list(read_structures(reference))[:limit]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "made.h5"
        started = time.process_time()
        result = generate(model, output, n=k, composition_of=reference, limit=limit, sampling=sampling)
        seconds = time.process_time() - started
        predictions: list[list[Any]] = [[] for _ in targets]
        for structure in read_structures(output):
            predictions[structure.info["target"]].append(structure)
    scores = structure_prediction(targets, predictions, ks=(1, k) if k > 1 else (1,))
    return {"calls": result.calls, "cpu_seconds": seconds, "targets": len(targets)} | figures(scores, k)


def figures(scores: PredictionScores, k: int) -> dict[str, Any]:
    """Match rate and RMSE with intervals, at one and at k structures, and the volume error."""
    found: dict[str, Any] = {}
    for n in sorted({1, k}):
        rmse = scores.rmse(n)
        found[f"match_rate@{n}"] = tuple(mean_interval(np.isfinite(rmse)))
        found[f"rmse@{n}"] = tuple(mean_of_known_interval(rmse)) if np.isfinite(rmse).any() else None
    errors = [a.volume_error for row in scores.rows for a in row.attempts[:1] if a.volume_error is not None]
    return found | {"mean_volume_error": float(np.mean(errors)), "largest_volume_error": float(np.max(errors))}


def draw(rows: list[dict[str, Any]]) -> str:
    """Match rate and RMSE at one structure against calls, an SVG document."""
    names = list(dict.fromkeys(row["label"] for row in rows))
    with figure(8.4, 4.2) as drawn:
        left, right = drawn.subplots(1, 2)
        for index, name in enumerate(names):
            own = sorted((row for row in rows if row["label"] == name), key=lambda row: row["calls"])
            for axes, key in ((left, "match_rate@1"), (right, "rmse@1")):
                points = [(row["calls"], *row[key]) for row in own if row[key]]
                calls, value, low, high = np.array(points).T
                style = {"marker": MARKERS[index % len(MARKERS)], "color": SERIES[index % len(SERIES)]}
                axes.errorbar(calls, value, yerr=[value - low, high - value], capsize=2, **style,
                              label=name if axes is left else None)  # fmt: skip
        for axes, title in ((left, "match rate"), (right, "RMSE of the matched")):
            logarithmic(axes, "x")
            axes.set_xlabel("network calls for a structure", color=INK)
            axes.set_ylabel(title)
        drawn.legend(loc="outside upper center", ncols=3)
        document = document_of(drawn)
    text = "Match rate and RMSE against the network calls of a structure."
    return Plot("calls", "Quality against network calls", "", text, document).standalone()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--run", nargs="+", action="append", metavar="LABEL MODEL NAME=VALUES", required=True)
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for label, model, *texts in arguments.run:
        for sampling in settings_of(texts):
            found = measure(Path(model), arguments.reference, sampling, arguments.k, arguments.limit)
            kept = ", ".join(f"{name} {value}" for name, value in sampling.items() if name != "steps")
            rows.append({"label": f"{label}, {kept}" if kept else label, "sampling": sampling, **found})
            print(json.dumps(rows[-1]), flush=True)
    content = {"reference": arguments.reference.name, "k": arguments.k, "rows": rows, "provenance": provenance()}
    arguments.output.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
