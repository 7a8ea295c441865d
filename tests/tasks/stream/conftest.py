"""Commits of every batch, so that tests of what was committed need not last seconds."""

from __future__ import annotations

import pytest

from eqcli.tasks.stream import chunk_file


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are forked have it too; workers that are programs of their own commit as they do elsewhere."""
    monkeypatch.setattr(chunk_file, "COMMIT_SECONDS", 0.0)
