"""SVG documents: deterministic, themed, self-contained, and no trace in matplotlib's global state."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from eqcli.report.accuracy_plots import QUANTITIES, accuracy_plots, local_density, parity
from eqcli.report.numbers import fit, rounded, show
from eqcli.report.style import DARK, LIGHT, STAND_INS
from eqcli.report.svg import Plot, between, power

FIGURES = {"count": 300, "r2": 0.99, "mae": 1.0, "rmse": 2.0, "unit": "meV/atom"}


@pytest.fixture(scope="module")
def plots() -> list[Plot]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 1)) + rng.normal(scale=[[0.0, 0.1]], size=(300, 2))
    measures = {quantity.measure: FIGURES for quantity in QUANTITIES}
    return accuracy_plots({quantity.key: rows for quantity in QUANTITIES}, measures)


def test_plots_are_wellformed_xml(plots: list[Plot]) -> None:
    assert len(plots) == 9
    for plot in plots:
        ElementTree.fromstring(plot.inline())
        ElementTree.fromstring(plot.standalone())


def test_same_data_same_bytes() -> None:
    rows = np.random.default_rng(1).normal(size=(2000, 2))
    first, second = (parity(QUANTITIES[1], rows, FIGURES).document for _ in range(2))
    assert first == second  # the SVG and the PNG


def test_images_have_the_colours_of_the_light_page(plots: list[Plot]) -> None:
    import io

    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    for plot in plots:
        pixels = imread(io.BytesIO(plot.document.png))
        assert pixels[0, 0, :3] == pytest.approx(np.ones(3))
        colours = {tuple(row) for row in np.round(pixels[..., :3].reshape(-1, 3) * 255).astype(int)}
        assert tuple(round(255 * x) for x in to_rgb(LIGHT["ink"])) in colours
        assert not {tuple(round(255 * x) for x in to_rgb(colour)) for colour in STAND_INS.values()} & colours


def test_inline_plots_follow_the_theme(plots: list[Plot]) -> None:
    for plot in plots:
        inline = plot.inline()
        assert "var(--ink)" in inline
        assert not any(stand_in in inline for stand_in in STAND_INS.values())
        assert not any(stand_in in plot.standalone() for stand_in in STAND_INS.values())


def test_inline_identifiers_do_not_meet(plots: list[Plot]) -> None:
    seen: set[str] = set()
    for plot in plots:
        root = ElementTree.fromstring(plot.inline())
        identifiers = {element.get("id") for element in root.iter() if element.get("id")}
        assert not identifiers & seen
        seen |= identifiers  # type: ignore[arg-type]


def test_references_inside_a_plot_resolve(plots: list[Plot]) -> None:
    for plot in plots:
        root = ElementTree.fromstring(plot.inline())
        identifiers = {element.get("id") for element in root.iter()}
        for element in root.iter():
            link = element.get("{http://www.w3.org/1999/xlink}href") or ""
            if link.startswith("#"):
                assert link[1:] in identifiers


def test_plots_say_what_they_show(plots: list[Plot]) -> None:
    for plot in plots:
        assert f'aria-label="{plot.alt[:10]}' in plot.inline()
        assert 'role="img"' in plot.inline()


def test_pyplot_is_not_used(plots: list[Plot]) -> None:
    import matplotlib

    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    assert matplotlib.rcParams["svg.hashsalt"] != "eqcli"


def test_palettes_have_the_same_names() -> None:
    assert LIGHT.keys() == DARK.keys() == STAND_INS.keys()


def contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2.1."""

    def luminance(colour: str) -> float:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    a, b = sorted((luminance(first), luminance(second)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_can_be_read(palette: dict[str, str]) -> None:
    for name in ("ink", "muted", "good", "bad", "note", "c0"):
        assert contrast(palette[name], palette["card"]) >= 4.5
        assert contrast(palette[name], palette["paper"]) >= 4.5


def test_density_is_highest_where_points_are() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(scale=0.01, size=900), rng.uniform(-5, 5, size=100)])
    density = local_density(x, x)
    assert density[:900].mean() > 5 * density[900:].mean()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (12345.6, "12,346"),
        (1.23456, "1.23"),
        (-0.0123, "−0.0123"),
        (3.21e-14, "3.2×10⁻¹⁴"),
        (999.6, "1,000"),
        (1200, "1,200"),
    ],
)
def test_numbers_are_shown_with_three_digits(value: float | None, text: str) -> None:
    assert show(value) == text


def test_other_numbers() -> None:
    assert power(1e-14) == "10⁻¹⁴"
    assert power(0.1) == "0.1"
    assert power(2e-5) == ""
    assert fit(None) == "–"
    assert fit(0.999991) == "0.99999"
    assert rounded(1e-12, 1.0) == 0.0
    assert rounded(0.5, 1.0) == 0.5


def test_short_logarithmic_axes_have_labels_between_powers_of_ten() -> None:
    assert between(2.0, 0.7, 2.5) == "2"
    assert between(0.8, 0.7, 2.5) == "0.8"
    assert between(3.0, 0.5, 9.0) == ""  # too many
    assert between(5.0, 0.5, 9.0) == "5"
    assert between(2e-6, 1e-6, 5e-6) == "2×10⁻⁶"
    assert between(2e-6, 1e-6, 1e-5) == ""  # two powers are enough
