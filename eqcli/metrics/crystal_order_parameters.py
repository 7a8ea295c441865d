"""The structure fingerprint that published coverages use: local order parameters of the neighbours of CrystalNN.

Zimmermann and Jain, RSC Adv. 2020, 10, 6063; used by Xie et al. (CDVAE, ICLR 2022) as the mean over sites.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any, Final

import numpy as np

from eqcli.errors import InputError, MissingDependency
from eqcli.io.structure import FloatArray, Structure
from eqcli.metrics.crystals.convert import to_pymatgen

MOST_NEIGHBOURS: Final = 24
BOND_ORDER: Final = ("q2", "q4", "q6")
"""Order parameters of 9 to 12 neighbours, for which there is no motif beside the cuboctahedron."""


def order_parameter_fingerprint(structure: Structure) -> FloatArray:
    """Mean over sites of the likelihood of each coordination number and of its motifs, `[61]` float64.

    Some 30 ms per site. A motif counts with the likelihood of its coordination number.

    Raises
    ------
    InputError
        CrystalNN finds no neighbours.
    MissingDependency
        pymatgen is not installed.
    """
    finder, motifs = _tools()
    try:
        crystal = to_pymatgen(structure)
    except ValueError as error:
        raise InputError(f"this is no crystal: {error}", structure.where) from error
    with warnings.catch_warnings():
        # CrystalNN asks for oxidation states, which it does not need.
        warnings.simplefilter("ignore")
        try:
            return np.mean([_site(crystal, site, finder, motifs) for site in range(len(crystal))], axis=0)
        except (ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
            raise InputError(f"CrystalNN finds no neighbours: {error}", structure.where) from error


def _site(crystal: Any, site: int, finder: Any, motifs: dict[int, list[Any]]) -> list[float]:
    found = finder.get_nn_data(crystal, site)
    values = []
    for count in range(1, MOST_NEIGHBOURS + 1):
        weight = found.cn_weights.get(count, 0.0)
        values.append(weight)
        around = [entry["site"] for entry in found.cn_nninfo.get(count, [])]
        for motif in motifs.get(count, []):
            order = None
            if around:
                order = motif.get_order_parameters(
                    [crystal[site], *around], 0, indices_neighs=list(range(1, len(around) + 1))
                )[0]
            values.append(weight * (order or 0.0))
    return values


@lru_cache(maxsize=1)
def _tools() -> tuple[Any, dict[int, list[Any]]]:
    """The finder of neighbours, and the order parameters of each coordination number."""
    try:
        from pymatgen.analysis.local_env import CN_OPT_PARAMS, CrystalNN, LocalStructOrderParams
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "the fingerprint of CrystalNN needs pymatgen, which is not installed",
            hint="Install it: pip install 'eqcli[crystals]'; or use --fingerprint fast.",
        ) from error
    motifs: dict[int, list[Any]] = {1: [LocalStructOrderParams(["sgl_bd"])]}
    for count, known in CN_OPT_PARAMS.items():
        motifs[count] = [
            LocalStructOrderParams([str(entry[0])], parameters=[dict(entry[1]) if len(entry) > 1 else None])  # type: ignore[arg-type]
            for entry in known.values()
        ]
    for count in range(9, 13):
        motifs[count] = motifs.get(count, []) + [LocalStructOrderParams([name]) for name in BOND_ORDER]
    return CrystalNN(), motifs
