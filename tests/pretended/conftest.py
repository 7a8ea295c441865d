"""What every test on the pretended device may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pretended.device import pretending
from tests.pretended.waits import Waits


@pytest.fixture
def device() -> Iterator[Waits]:
    """A CUDA device is there; gives the count of what makes the host wait for it."""
    with pretending() as waits:
        yield waits
