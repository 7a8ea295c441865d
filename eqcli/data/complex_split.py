"""The division of complexes into training, validation and test, by protein or by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from eqcli.data.split import Indices, share
from eqcli.errors import InputError

By = Literal["cluster", "protein", "year", "random"]


def split_complexes(
    by: By,
    groups: Sequence[Hashable],
    *,
    valid: float,
    test: float,
    seed: int,
    seen: float = 0.0,
    years: Sequence[int | None] | None = None,
    ligands: Sequence[str] | None = None,
    allow_leak: bool = False,
) -> dict[str, Indices]:
    """Complexes of the parts `train`, `valid` and `test`, and `seen` on request, in ascending order.

    Parameters
    ----------
    by
        `cluster` and `protein` keep complexes of one group together. `year` puts the latest into the test set, those
        before into the validation set; a year is never divided. `random` divides complexes one by one.
    groups
        Of each complex, `[S]`: the number of its sequence cluster, or its protein.
    valid, test
        Shares of all complexes: fractions below 1, or numbers. Whole groups come near them.
    seed
        The same complexes and seed give the same parts.
    seen
        Share of the training complexes that is held out as `seen`: other ligands of proteins that are trained on.
    years
        Of each complex; for `year`.
    ligands
        Canonical SMILES of each complex; all complexes of one ligand are held out together where it is given.
    allow_leak
        Whether `random` is allowed.

    Raises
    ------
    InputError
        A random split without `allow_leak`; a complex without a year; too few groups for the parts.
    """
    if by == "random" and not allow_leak:
        raise InputError(
            "a random split of complexes puts the same proteins into training and test: it measures how well "
            "pockets are memorised",
            hint="Split by cluster, protein or year, or add --allow-leak.",
        )
    rng = np.random.default_rng(seed)
    wanted = {"test": share(test, len(groups)), "valid": share(valid, len(groups))}
    if by == "year":
        parts = _by_year(years, len(groups), wanted)
    else:
        keys: Sequence[Hashable] = range(len(groups)) if by == "random" else groups
        parts = _by_group(keys, wanted, rng)
    if len(parts["train"]) == 0:
        raise InputError("no complexes are left for training", hint="Ask for smaller parts, or add complexes.")
    if seen > 0:
        parts |= _hold_out(parts["train"], groups, ligands, seen, rng)
    return parts


def _rows_by(keys: Sequence[Hashable]) -> list[Indices]:
    rows: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return [np.array(found, dtype=np.int64) for found in rows.values()]


def _by_group(keys: Sequence[Hashable], wanted: dict[str, int], rng: np.random.Generator) -> dict[str, Indices]:
    """Whole groups in random order, each into the first part that it does not overfill."""
    rows = _rows_by(keys)
    needed = 1 + sum(count > 0 for count in wanted.values())
    if len(rows) < needed:
        raise InputError(
            f"{len(rows)} groups of related proteins cannot make {needed} parts",
            hint="Add complexes of other proteins.",
        )
    order = [rows[i] for i in rng.permutation(len(rows))]
    parts: dict[str, list[Indices]] = {name: [] for name in ("train", *wanted)}
    for name, count in wanted.items():
        filled = 0
        for group in list(order):
            if filled + len(group) <= count:
                parts[name].append(group)
                filled += len(group)
                order = [other for other in order if other is not group]
        if count and not filled:
            # Every group is larger than the part is to be.
            smallest = min(order, key=len)
            parts[name].append(smallest)
            order = [other for other in order if other is not smallest]
    parts["train"] = order
    return {name: _sorted(groups) for name, groups in parts.items()}


def _sorted(groups: list[Indices]) -> Indices:
    return np.sort(np.concatenate(groups)) if groups else np.zeros(0, dtype=np.int64)


def _by_year(years: Sequence[int | None] | None, total: int, wanted: dict[str, int]) -> dict[str, Indices]:
    """The latest years for test, those before for validation: as many whole years as fit, and one at least."""
    given = list(years or [None] * total)
    unknown = sum(year is None for year in given)
    if unknown:
        raise InputError(
            f"{unknown} of {total} complexes have no year", hint="Years stand in PDBBind's index or in a column 'year'."
        )
    dates = np.array(given, dtype=np.int64)
    left = np.unique(dates)[::-1].tolist()
    parts: dict[str, Indices] = {}
    for name, count in wanted.items():
        chosen: list[int] = []
        while count and left and (not chosen or np.isin(dates, [*chosen, left[0]]).sum() <= count):
            chosen.append(left.pop(0))
        parts[name] = np.flatnonzero(np.isin(dates, chosen))
    return {"train": np.flatnonzero(np.isin(dates, left)), **parts}


def _hold_out(
    train: Indices, groups: Sequence[Hashable], ligands: Sequence[str] | None, amount: float, rng: np.random.Generator
) -> dict[str, Indices]:
    """Ligands of trained proteins; every protein keeps a complex to be trained on."""
    count = share(amount, len(train))
    kept = Counter(groups[i] for i in train)
    keys: list[Hashable] = [int(i) if ligands is None else ligands[i] for i in train]
    found: list[Indices] = []
    filled = 0
    sets = _rows_by(keys)
    for number in rng.permutation(len(sets)):
        rows = train[sets[number]]
        losses = Counter(groups[i] for i in rows)
        if filled + len(rows) <= count and all(kept[group] > loss for group, loss in losses.items()):
            found.append(rows)
            filled += len(rows)
            kept -= losses
    held = _sorted(found)
    return {"train": np.setdiff1d(train, held), "seen": held}
