"""The comparison of tensor products: what each costs, what it can express, and how e3nn does it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError
from eqcli.names import did_you_mean
from eqcli.progress import Reporter, Silent
from eqcli.tasks.tensor_product_result import Expression, TensorProductResult

if TYPE_CHECKING:
    from eqcli.tasks.tensor_product_cells import Settings

TABLE = "table.csv"

HIGHEST = 12
"""Highest degree that may be asked for."""

EXPRESSIVITY_TO = 4
"""Highest degree at which couplings are counted; a count needs many evaluations, and the pattern is plain by then."""


def tensor_products(
    output: Path,
    *,
    degrees: Iterable[int] = range(1, 9),
    channels: Sequence[int] = (1, 4),
    rows: Sequence[int] = (100, 300),
    products: Sequence[str] | None = None,
    peer: bool = True,
    expressivity: bool = True,
    budget_s: float = 5.0,
    device: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> TensorProductResult:
    """Measures time, memory and GFLOP/s of tensor products, forward and with first and second gradients.

    Parameters
    ----------
    output
        Folder that receives `index.html`, `report.json`, `table.csv` and `plots/`.
    degrees
        Highest degrees L of factors and results; products of a fixed degree are measured once.
    channels, rows
        Copies of each irrep, and pairs of factors at once (edges of a graph).
    products
        Names from :data:`eqcli.geometry.products.family.PRODUCTS`; None is all of them.
    peer
        Whether e3nn's product is measured beside each.
    expressivity
        Whether couplings are counted, at one channel and degrees up to EXPRESSIVITY_TO.
    budget_s
        Seconds that one call may take; a product that takes longer is left out from that degree on.
    precision
        `float32` or `float64`.
    threads
        Of the CPU; None leaves the number as it is.

    Raises
    ------
    InputError
        The output exists, or an argument is not possible.
    """
    from eqcli.geometry.products.family import PRODUCTS
    from eqcli.report.write import DATA, PAGE, refuse_report

    report = report or Silent()
    output = Path(output)
    refuse_report(output, overwrite)
    names = _known(products, PRODUCTS)
    sizes = {"degrees": _sizes("degrees", degrees, HIGHEST), "channels": _sizes("channels", channels)}
    sizes["rows"] = _sizes("rows", rows)
    settings = _settings(budget_s, device, precision, peer)
    result = TensorProductResult(output, output / PAGE, output / DATA)
    begun = time.monotonic()
    with cpu_threads(threads) as used:
        result.settings = sizes | {
            "products": names,
            "peer": _peer_version() if peer else None,
            "budget_s": budget_s,
            "device": str(settings.device),
            "precision": precision,
            "threads": used,
        }
        _measure(result, names, sizes, settings, report)
        if expressivity:
            _count_couplings(result, names, sizes["degrees"], report)
    result.seconds = time.monotonic() - begun
    _write(result)
    return result


def _measure(
    result: TensorProductResult, names: list[str], sizes: dict[str, list[int]], settings: Settings, report: Reporter
) -> None:
    from eqcli.tasks.tensor_product_cells import Series

    plan = [(name, c, n) for name in names for c in sizes["channels"] for n in sizes["rows"]]
    report.start("tensor products", sum(len(_degrees(name, sizes["degrees"])) for name, _, _ in plan), "sizes")
    for name, channels, rows in plan:
        series = Series(name, channels, rows, settings, result.failures)
        for lmax in _degrees(name, sizes["degrees"]):
            result.measurements += series.measure(lmax)
            report.advance()
    report.finish()


def _degrees(name: str, degrees: list[int]) -> list[int]:
    """The degrees at which a product is measured."""
    from eqcli.geometry.products.family import PRODUCTS

    fixed = PRODUCTS[name].fixed
    return degrees if fixed is None else [fixed]


def _count_couplings(result: TensorProductResult, names: list[str], degrees: list[int], report: Reporter) -> None:
    from eqcli.geometry.products.expressivity import expressivity, interactability
    from eqcli.geometry.products.family import PRODUCTS

    plan = [(name, lmax) for name in names for lmax in _degrees(name, degrees) if lmax <= EXPRESSIVITY_TO]
    report.start("couplings", len(plan), "products")
    for name, lmax in plan:
        try:
            product = PRODUCTS[name].build(lmax, 1)
            triples = [str(triple) for triple in interactability(product)]
            result.expressions.append(Expression(name, lmax, expressivity(product), len(triples), triples))
        except Exception as error:
            result.failures.append(Failure.of(f"couplings of {name}, L = {lmax}", error))
        report.advance()
    report.finish()


def _known(products: Sequence[str] | None, table: Iterable[str]) -> list[str]:
    """The names to measure, each once. Raises InputError for one that is not in the table."""
    valid = list(table)
    if products is None:
        return valid
    for name in products:
        if name not in valid:
            raise InputError(f"unknown tensor product '{name}'", hint=did_you_mean(name, valid, "products"))
    if not products:
        raise InputError("no tensor product was named", hint=did_you_mean("", valid, "products"))
    return list(dict.fromkeys(products))


def _sizes(what: str, values: Iterable[int], most: int | None = None) -> list[int]:
    """Sorted, each once. Raises InputError when there is none or one is not possible."""
    found = sorted(set(values))
    if not found:
        raise InputError(f"no {what} were given")
    if found[0] < 1 or (most is not None and found[-1] > most):
        wanted = f"between 1 and {most}" if most else "1 or more"
        bad = found[0] if found[0] < 1 else found[-1]
        raise InputError(f"{what} must be {wanted}, got {bad}")
    return found


def _settings(budget_s: float, device: str, precision: str, peer: bool) -> Settings:
    from eqcli.engine.device import PRECISIONS, choose_device
    from eqcli.tasks.tensor_product_cells import Settings

    if not budget_s > 0:
        raise InputError(f"the time budget must be above 0 s, got {budget_s:g}")
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}'", hint=f"Use {' or '.join(PRECISIONS)}.")
    return Settings(budget_s, choose_device(device), PRECISIONS[precision], peer)


@contextmanager
def cpu_threads(number: int | None) -> Iterator[int]:
    """That many threads of the CPU in the block, as before afterwards; gives the number in use."""
    import torch

    if number is not None and number < 1:
        raise InputError(f"threads must be 1 or more, got {number}")
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _peer_version() -> str:
    from importlib import metadata

    return f"e3nn {metadata.version('e3nn')}"


def _write(result: TensorProductResult) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path
    from eqcli.report.csv_text import csv_text
    from eqcli.report.tensor_product_plots import tensor_product_plots
    from eqcli.report.tensor_products import tensor_product_page
    from eqcli.report.write import write_report

    origin = provenance()
    content: dict[str, Any] = result.as_dict()
    plots = tensor_product_plots(content)
    result.output.mkdir(parents=True, exist_ok=True)
    with atomic_path(result.output / TABLE) as temporary:
        temporary.write_text(csv_text(content["measurements"]), encoding="utf-8")
    page = tensor_product_page(content, plots, origin)
    write_report(result.output, page, content | {"provenance": origin}, plots)
