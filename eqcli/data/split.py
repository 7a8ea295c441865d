"""The division of the data into training, validation and test frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Frames of one prepared file: `source` is `train`, `valid` or `test`."""

    source: str
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def json(self) -> Iterator[str]:
        """The part as JSON, piece by piece: a list of a million Python integers would take a hundred megabytes."""
        yield f'{{"source": "{self.source}", "indices": ['
        for first in range(0, len(self), 10_000):
            piece = ", ".join(map(str, self.indices[first : first + 10_000].tolist()))
            yield f", {piece}" if first else piece
        yield "]}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Part:
        return cls(values["source"], np.array(values["indices"], dtype=np.int64))


Split = dict[str, Part]
"""The parts `train` and `valid`, and `test` where there is one."""


def share(amount: float, total: int) -> int:
    """How many of `total` frames a share means: a fraction below 1 (at least one frame), or a number."""
    if amount >= 1:
        return round(amount)
    return max(1, round(amount * total)) if amount > 0 else 0


def draw_split(
    usable: dict[str, Indices],
    *,
    valid: float,
    test: float,
    max_train: int | None,
    seed: int,
    fingerprint: NDArray[np.uint64] | None = None,
    given: Mapping[str, Indices] | None = None,
) -> Split:
    """Draws the parts that have no file of their own from the training file.

    A frame that repeats one drawn into an earlier part (test, then validation) is
    left out of the later ones: errors on frames that were trained on mean nothing.

    Parameters
    ----------
    usable
        Frames of each file that may be used (isolated atoms left out); `train` is always there.
    valid, test
        Shares of the training file, used where `usable` has no such file.
    max_train
        Largest number of training frames.
    seed
        Seed of the draw: the same frames and seed give the same parts.
    fingerprint
        Of every frame of the training file; frames are told apart by it.
    given
        Frames of the training file that a part is to have, by its name. What is drawn for the others comes from the
        given training frames, or where there are none from what is left.
    """
    given = dict(given or {})
    order = np.random.default_rng(seed).permutation(pool(usable["train"], given, fingerprint))
    total, taken = len(order), 0
    split: Split = {name: Part("train", np.sort(rows)) for name, rows in given.items() if name != "train"}
    for name, amount in (("test", test), ("valid", valid)):
        if name in given:
            continue
        if name in usable:
            split[name] = Part(name, np.sort(usable[name]))
        elif (count := share(amount, total)) > 0:
            split[name] = Part("train", np.sort(order[taken : taken + count]))
            rest = order[taken + count :]
            if fingerprint is not None:
                rest = rest[~np.isin(fingerprint[rest], fingerprint[split[name].indices])]
            order = np.concatenate([order[: taken + count], rest])
            taken += count
    rest = order[taken:]
    split["train"] = Part("train", np.sort(rest[:max_train] if max_train else rest))
    return split


def pool(usable: Indices, given: Mapping[str, Indices], fingerprint: NDArray[np.uint64] | None = None) -> Indices:
    """The frames that parts may be drawn from: the given ones for training, or all that are not given otherwise."""
    if "train" in given:
        return given["train"]
    held = [rows for name, rows in given.items() if name != "train"]
    if not held:
        return usable
    taken = np.concatenate(held)
    left = usable[~np.isin(usable, taken)]
    return left if fingerprint is None else left[~np.isin(fingerprint[left], fingerprint[taken])]


def split_hash(split: Split) -> str:
    """SHA-256 of the parts, to tell whether two runs used the same frames."""
    digest = hashlib.sha256()
    for name in sorted(split):
        digest.update(f"{name}:{split[name].source}:".encode())
        digest.update(split[name].indices.astype("<i8").tobytes())
    return digest.hexdigest()
