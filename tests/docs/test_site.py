"""The site builds without a warning, its generated parts are current, and it needs no network."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_current(generate) -> None:
    pages = generate.pages()
    assert pages
    stale = [page.name for page in pages if generate.current(page.read_text("utf-8")) != page.read_text("utf-8")]
    assert not stale, f"run python docs/generate.py: {stale}"


def test_every_part_is_used_by_a_page(generate) -> None:
    used = {found["name"] for page in generate.pages() for found in generate.PART.finditer(page.read_text("utf-8"))}
    assert used == set(generate.PARTS)


def test_every_recipe_key_is_on_the_reference_page(generate) -> None:
    from eqcli.recipe.fields import all_keys
    from eqcli.recipe.schema import TrainRecipe

    page = (ROOT / "docs" / "reference" / "recipe.md").read_text("utf-8")
    assert [key for key in all_keys(TrainRecipe) if f"| `{key}` |" not in page] == []


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is in the docs extra: pip install eqcli[docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    loaded = re.compile(r"""<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+stylesheet[^>]+href="https?://""")
    foreign = [page.name for page in tmp_path.rglob("*.html") if loaded.search(page.read_text("utf-8"))]
    assert foreign == []
