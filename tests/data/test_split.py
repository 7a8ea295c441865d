from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eqcli.data.split import draw_split, share, split_hash


@given(total=st.integers(5, 200), valid=st.floats(0.01, 0.4), test=st.floats(0, 0.4), seed=st.integers(0, 99))
def test_parts_do_not_overlap_and_use_everything(total: int, valid: float, test: float, seed: int) -> None:
    usable = np.arange(total) * 2 + 1
    split = draw_split({"train": usable}, valid=valid, test=test, max_train=None, seed=seed)
    drawn = np.concatenate([part.indices for part in split.values()])
    assert sorted(drawn.tolist()) == usable.tolist()
    assert ("test" in split) == (test > 0)


def test_a_share_is_a_fraction_or_a_number() -> None:
    assert [share(0.1, 50), share(12, 50), share(0, 50), share(0.001, 50), share(1, 50)] == [5, 12, 0, 1, 1]


def test_files_of_their_own_are_not_drawn_from() -> None:
    usable = {"train": np.arange(30), "valid": np.arange(4), "test": np.arange(7)}
    split = draw_split(usable, valid=0.5, test=0.2, max_train=10, seed=0)
    assert [(split[n].source, len(split[n])) for n in ("train", "valid", "test")] == [
        ("train", 10),
        ("valid", 4),
        ("test", 7),
    ]


def test_the_seed_decides() -> None:
    usable = {"train": np.arange(40)}
    hashes = [split_hash(draw_split(usable, valid=5, test=0, max_train=None, seed=seed)) for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_repeated_frames_are_not_trained_on_and_held_out() -> None:
    fingerprint = np.arange(60, dtype=np.uint64) // 3
    split = draw_split({"train": np.arange(60)}, valid=10, test=10, max_train=None, seed=0, fingerprint=fingerprint)
    found = {name: set(fingerprint[part.indices].tolist()) for name, part in split.items()}
    assert not found["train"] & (found["valid"] | found["test"])
    assert not found["valid"] & found["test"]
    assert len(split["valid"]) == len(split["test"]) == 10
    assert found["train"] | found["valid"] | found["test"] == set(range(20))


def test_fingerprints_that_differ_change_nothing() -> None:
    options = {"valid": 5, "test": 3, "max_train": 20, "seed": 1}
    plain = draw_split({"train": np.arange(40)}, **options)  # type: ignore[arg-type]
    told = draw_split({"train": np.arange(40)}, **options, fingerprint=np.arange(40, dtype=np.uint64))  # type: ignore[arg-type]
    assert split_hash(plain) == split_hash(told)
