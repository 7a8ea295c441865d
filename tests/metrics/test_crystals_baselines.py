"""Null baselines: they have the target's composition, repeat for a seed, and score what was published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.elements import NUMBERS
from eqcli.io.reading import read_structures
from eqcli.io.structure import Structure, formula
from eqcli.metrics import crystals_baselines as null
from eqcli.metrics.crystal_templates import Templates, exchanges, formula_of
from eqcli.metrics.crystals import structure_prediction
from tests.metrics.test_crystal_fingerprints import crystal, rocksalt

PEROVSKITES = [("Ca", "Ti"), ("Sr", "Ti"), ("Ba", "Zr"), ("K", "Ta")]


def perovskite(a: str, b: str, x: str = "O", edge: float = 4.0) -> Structure:
    places = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * edge
    numbers = np.array([NUMBERS[s] for s in (a, b, x, x, x)])
    return Structure(numbers, places, cell=np.eye(3) * edge, pbc=np.ones(3, dtype=bool))


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates([*(perovskite(*pair) for pair in PEROVSKITES), rocksalt(), rocksalt(("K", "Br"))])


def test_random_coordinates_keep_cell_and_composition() -> None:
    target = crystal(5)
    made = null.random_coordinates([target, target], 3, seed=7)
    assert [len(of_target) for of_target in made] == [3, 3]
    for row, of_target in enumerate(made):
        for sample, structure in enumerate(of_target):
            assert formula(structure.numbers) == formula(target.numbers)
            np.testing.assert_array_equal(structure.cell, target.cell)
            assert structure.info == {"sample": sample, "target": row, "model": "random coordinates"}
    places = np.stack([s.positions for of_target in made for s in of_target])
    assert len(np.unique(places.round(9), axis=0)) == 6
    # A target's structures do not depend on how many targets there are.
    np.testing.assert_array_equal(null.random_coordinates([target], 3, seed=7)[0][2].positions, made[0][2].positions)
    assert not np.allclose(null.random_coordinates([target], 1, seed=8)[0][0].positions, made[0][0].positions)


def test_the_nearest_template_is_taken_first(templates: Templates) -> None:
    """Barium hafnate: barium stays at the corner and hafnium takes the place of zirconium, not the other way round."""
    made = null.template_substitution([perovskite("Ba", "Hf")], templates, 4)[0]
    assert len(made) == 4
    assert all(formula(s.numbers) == "BaHfO3" for s in made)
    best = made[0]
    scale = best.cell[0, 0]
    fractions = {int(z): at for z, at in zip(best.numbers, best.positions / scale, strict=True)}
    np.testing.assert_allclose(fractions[NUMBERS["Ba"]], 0)
    np.testing.assert_allclose(fractions[NUMBERS["Hf"]], 0.5)


def test_elements_of_equal_count_go_where_they_are_alike(templates: Templates) -> None:
    made = null.template_substitution([rocksalt(("Li", "F"))], templates, 1)[0][0]
    metal = made.positions[made.numbers == NUMBERS["Li"]]
    template = templates.structures[4]
    np.testing.assert_allclose(metal[0], template.positions[0], atol=1e-9)
    swapped = null.template_substitution([rocksalt(("F", "Li"))], templates, 1)[0][0]
    np.testing.assert_array_equal(swapped.numbers, made.numbers)


def test_volume_follows_the_radii(templates: Templates) -> None:
    """A crystal that is its own template comes back as it is; larger elements make a larger cell."""
    known = perovskite("Sr", "Ti")
    again = null.template_substitution([known], templates, 1)[0][0]
    np.testing.assert_allclose(again.cell, known.cell)
    larger = null.template_substitution([perovskite("Cs", "Ti")], templates, 1)[0][0]
    assert larger.volume > known.volume


def test_another_number_of_units_is_a_template_of_last_resort(templates: Templates) -> None:
    double = replace(
        rocksalt(("Li", "Cl")),
        numbers=np.tile(rocksalt(("Li", "Cl")).numbers, 2),
        positions=np.concatenate([rocksalt().positions, rocksalt().positions + rocksalt().cell[0]]),
        cell=rocksalt().cell * np.array([[2], [1], [1]]),
    )
    made = null.template_substitution([double], templates, 1)[0][0]
    assert formula_of(made) == formula_of(double)
    assert len(made) == 2
    assert null.random_species([double], templates, 1, seed=0) == [[]]


def test_unknown_formulas_have_no_template(templates: Templates) -> None:
    strange = crystal(0, ("Fe", "Fe", "O", "O", "O"))
    made = null.template_substitution([strange, perovskite("Ca", "Ti")], templates, 2)
    assert null.without_prediction(made) == 1
    assert made[0] == []


def test_random_species_keep_the_sites(templates: Templates) -> None:
    made = null.random_species([perovskite("Ca", "Ti")], templates, 40, seed=1)[0]
    sites = perovskite("Ca", "Ti").positions / 4
    at_corner = set()
    for structure in made:
        assert formula(structure.numbers) == "CaO3Ti"
        np.testing.assert_allclose(structure.positions / structure.cell[0, 0], sites, atol=1e-9)
        at_corner.add(int(structure.numbers[0]))
    assert at_corner == {NUMBERS["Ca"], NUMBERS["Ti"], NUMBERS["O"]}


def test_exchanges_keep_the_counts() -> None:
    assert exchanges((1, 1, 3)).tolist() == [[0, 1, 2], [1, 0, 2]]
    assert len(exchanges((1, 1, 2, 2))) == 4


def test_de_novo_baselines_come_from_the_training_set() -> None:
    training = [perovskite(*pair) for pair in PEROVSKITES]
    copies = null.training_copies(training, 6, seed=0)
    assert len(copies) == 6
    assert sorted(formula(s.numbers) for s in copies[:4]) == sorted(formula(s.numbers) for s in training)
    shuffled = null.shuffled_species(training, 20, seed=0)
    present = {int(z) for s in training for z in s.numbers}
    for structure in shuffled:
        assert formula_of(structure)[1] == (1, 1, 3)
        assert {int(z) for z in structure.numbers} <= present
    assert len({formula(s.numbers) for s in shuffled}) > 5


@pytest.mark.shared
def test_perovskites_score_as_published(shared: Path) -> None:
    """Of CDVAE's perov_5: random coordinates match a third within the loose tolerances; templates are far nearer."""
    structures = list(read_structures(shared / "crystals" / "perov_5" / "train.csv"))
    order = np.random.default_rng(0).permutation(len(structures))
    part = int(0.8 * len(structures))
    training = [structures[i] for i in order[:part]]
    targets = [structures[i] for i in order[int(0.9 * len(structures)) :]][:150]
    anywhere = null.random_coordinates(targets, 1, seed=0)
    known = null.template_substitution(targets, Templates(training), 1)
    assert null.without_prediction(known) == 0
    rates, errors = [], []
    for made in (anywhere, known):
        rmse = structure_prediction(targets, made, ks=(1,), workers=1).rmse(1)
        rates.append(np.isfinite(rmse).mean())
        errors.append(np.nanmean(rmse))
    assert rates[0] == pytest.approx(0.35, abs=0.09)
    assert errors[0] == pytest.approx(0.44, abs=0.03)
    assert rates[1] > rates[0]
    assert errors[1] < 0.15
