"""Plots of the error over the rotation group: by axis on the sphere, and by angle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.io.structure import FloatArray
from eqcli.report.numbers import count, show
from eqcli.report.style import DENSITY
from eqcli.report.svg import MUTED, SERIES, Plot, document_of, figure, logarithmic, power

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXACT = 1e-17
"""Where errors of exactly zero are drawn on a logarithmic axis."""

WIDTH, HEIGHT = 9.2, 3.4

MOST_STRUCTURES = 30
"""Named along the axis of the aggregate view."""


def full_turn(curves: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Errors of every output once around an axis, by precision."""
    with figure(5.6, 3.5) as drawn:
        axes = drawn.add_subplot()
        for index, (precision, curve) in enumerate(curves.items()):
            for style, (quantity, errors) in zip(("-", ".:", "--"), curve["outputs"].items(), strict=False):
                values = np.array(errors)
                values = np.where(values > 0, values, np.nan)
                label = f"{quantity}, {precision}"
                axes.plot(curve["angle"], values, style, markersize=3, color=SERIES[index], label=label)
        logarithmic(axes, "y")
        axes.set_xticks(range(0, 361, 60))
        axes.set_xlim(0, 360)
        axes.set_xlabel("angle of rotation (°)")
        axes.set_ylabel("relative error")
        drawn.legend(loc="outside upper center", ncols=2)
        document = document_of(drawn)
    first = next(iter(curves.values()))
    largest = {precision: max(max(errors) for errors in c["outputs"].values()) for precision, c in curves.items()}
    words = ", ".join(f"{show(value, 2)} in {precision}" for precision, value in largest.items())
    caption = (
        f"{first['structure']} turned once around a random axis. Error at most {words}. "
        "Rounding gives flat noise; bumps at certain angles mean a preferred direction."
    )
    return Plot("orbit", "Error along a full turn", caption, caption, document)


def single_orbit(view: Mapping[str, Any], precision: str) -> Plot:
    """One structure: the worst angle for every axis on a map of the axes, and every axis against the angle."""
    errors = _drawn(view["errors"])  # [A, T]
    with figure(WIDTH, HEIGHT) as drawn:
        _sphere(drawn, view, errors.max(axis=1), columns=2)
        axes = drawn.add_subplot(1, 2, 2)
        axes.plot(view["angle"], errors.T, color=SERIES[0], linewidth=0.5, alpha=0.35)
        axes.plot(view["angle"], np.median(errors, axis=0), color=SERIES[1], label="median over axes")
        axes.plot(view["angle"], errors.max(axis=0), color=SERIES[1], linestyle="--", label="worst axis")
        _by_angle(axes, errors)
        document = document_of(drawn)
    caption = (
        f"{view['structure']}, the structure with the largest error, turned about {errors.shape[0]} axes by "
        f"{errors.shape[1]} angles each: {show(float(errors.min()), 2)} to {show(float(errors.max()), 2)} in "
        f"{precision}. Left, the worst angle for each axis; right, every axis a line. A random patchwork is "
        "rounding; a pattern is a preferred direction."
    )
    return Plot("orbit-single", "Error over all rotations, one structure", caption, caption, document, full=True)


def all_orbits(view: Mapping[str, Any], precision: str) -> Plot:
    """All structures: the mean by axis, mean and quantiles by angle, and mean and spread of each structure."""
    structures = view["structures"]
    with figure(WIDTH, HEIGHT) as drawn:
        _sphere(drawn, view, _drawn(view["mean_by_axis"]), columns=3)
        low, middle, high = _drawn(view["quantiles_by_angle"])
        axes = drawn.add_subplot(1, 3, 2)
        axes.fill_between(view["angle"], low, high, color=SERIES[0], alpha=0.2, linewidth=0, label="10 to 90 %")
        axes.plot(view["angle"], middle, color=SERIES[0], label="median")
        axes.plot(view["angle"], _drawn(view["mean_by_angle"]), color=SERIES[1], label="mean")
        _by_angle(axes, np.stack([low, high]))
        _by_structure(drawn.add_subplot(1, 3, 3), view)
        document = document_of(drawn)
    worst = int(np.nanargmax(view["worst_by_structure"]))
    mean = float(np.mean(view["mean_by_structure"]))
    caption = (
        f"{count(len(structures), 'structure')}, mean error {show(mean, 2)} in {precision}; the largest, "
        f"{show(float(view['worst_by_structure'][worst]), 2)}, on {structures[worst]}. Left, the mean for each axis; "
        "middle, over all axes and structures against the angle; right, each structure by its number in the list of "
        "structures: mean, 10 to 90 % and worst."
    )
    return Plot("orbit-all", "Error over all rotations, all structures", caption, caption, document, full=True)


def _decades(axes: Axes, errors: FloatArray) -> None:
    """A logarithmic axis of whole powers of ten around the errors."""
    logarithmic(axes, "y")
    axes.set_ylim(10.0 ** math.floor(math.log10(errors.min())), 10.0 ** math.ceil(math.log10(errors.max() * 1.01)))


def _by_angle(axes: Axes, errors: FloatArray) -> None:
    _decades(axes, errors)
    axes.set_xlim(0, 180)
    axes.set_xticks(range(0, 181, 45))
    axes.set_xlabel("angle of rotation (°)")
    axes.set_ylabel("relative error")
    axes.legend(loc="best")


def _by_structure(axes: Axes, view: Mapping[str, Any]) -> None:
    """Structures in order of their mean error; those beyond the first many are left out of the picture."""
    mean = _drawn(view["mean_by_structure"])
    order = np.argsort(-mean)[:MOST_STRUCTURES]
    spread, largest = _drawn(view["quantiles_by_structure"])[order], _drawn(view["worst_by_structure"])[order]
    places = np.arange(len(order))
    axes.vlines(places, spread[:, 0], spread[:, -1], color=SERIES[0], alpha=0.4, linewidth=3)
    axes.scatter(places, mean[order], s=16, color=SERIES[1], linewidths=0, label="mean", zorder=3)
    axes.scatter(places, largest, s=14, color=MUTED, marker="_", label="worst", zorder=3)
    _decades(axes, np.concatenate([spread.ravel(), largest]))
    axes.set_xticks(places if len(order) <= 10 else [], [str(k) for k in order] if len(order) <= 10 else [])
    axes.set_xlabel("structure" if len(order) <= 10 else "structures, worst first")
    axes.set_ylabel("relative error")
    axes.legend(loc="best")


def _sphere(drawn: Figure, view: Mapping[str, Any], errors: FloatArray, columns: int) -> None:
    """A map of the axes of rotation, each point in the colour of the nearest axis."""
    from matplotlib.colors import LinearSegmentedColormap

    longitude, latitude = np.array(view["longitude"]), np.array(view["latitude"])
    lon, lat = np.meshgrid(np.linspace(-np.pi, np.pi, 145), np.linspace(-np.pi / 2, np.pi / 2, 73))
    centres = (lon[:-1, :-1] + lon[1:, 1:]) / 2, (lat[:-1, :-1] + lat[1:, 1:]) / 2
    nearest = (_unit(*centres) @ _unit(longitude, latitude).T).argmax(axis=-1)
    axes = drawn.add_subplot(1, columns, 1, projection="mollweide")
    colours = LinearSegmentedColormap.from_list("density", DENSITY)
    exponent = math.floor(math.log10(float(np.nanmax(errors))))
    mesh = axes.pcolormesh(lon, lat, errors[nearest] / 10.0**exponent, cmap=colours, rasterized=True)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.62, aspect=18, pad=0.03)
    bar.set_label(f"relative error / {power(10.0**exponent) or show(10.0**exponent)}")
    bar.outline.set_visible(False)


def _unit(longitude: FloatArray, latitude: FloatArray) -> FloatArray:
    parts = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    return np.stack(parts, axis=-1)


def _drawn(values: Sequence[Any]) -> FloatArray:
    """Errors that a logarithmic axis can show."""
    found: FloatArray = np.maximum(np.nan_to_num(np.array(values, dtype=np.float64), nan=EXACT, posinf=EXACT), EXACT)
    return found
