"""Formulas as chemists write them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from eqcli.elements import NUMBERS
from eqcli.io.crystal_formula import reduced_formula

FORMULAS = "CaTiO3 NaCl SiC MgB2 NH3 CH4 LiFePO4 C CsI GdFeO3 H2O UO2 XeF2 LuAg La2CuO4 GaAs BN KMnO4 CuSO4 AuCu3 OF2"


@pytest.mark.parametrize(
    "formula",
    FORMULAS.split(),
)
def test_order_and_reduction(formula: str) -> None:
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    numbers = [NUMBERS[symbol] for symbol, n in parts for _ in range(int(n or 1))]
    assert reduced_formula(np.array(numbers)) == formula
    assert reduced_formula(np.random.default_rng(0).permutation(numbers * 6)) == formula
