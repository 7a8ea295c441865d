"""What the README and the documentation tell people to type works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import LANGUAGES, TINY, Page, read_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [read_page(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
SECONDS = 120


def name(page: Page) -> str:
    return str(page.path.relative_to(ROOT))


def environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"], "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def run(command: list[str], folder: Path, where: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory):
    """Trains a tiny model of a shipped recipe once and returns its file."""
    made: dict[str, Path] = {}

    def model(wanted: str) -> Path:
        if wanted not in made:
            folder = tmp_path_factory.mktemp("models") / wanted
            recipe = ROOT / "recipes" / "potentials" / f"mace-{wanted}.yaml"
            command = f"eqcli train {recipe} -o {folder} {TINY}"
            run(["bash", "-c", command], folder.parent, f"training of {wanted}")
            made[wanted] = folder / "model.safetensors"
        return made[wanted]

    return model


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with what a clone has: recipes and data."""
    for folder in ("recipes", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Page) -> None:
    for block in page.blocks:
        assert block.language in LANGUAGES, f"{name(page)}:{block.line}: mark the block as one of {sorted(LANGUAGES)}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.runs], ids=name)
def test_blocks_run_in_order(page: Page, workspace: Path, models) -> None:
    from tests.docs.blocks import smaller

    for wanted in page.models:
        (workspace / "runs" / wanted).mkdir(parents=True)
        shutil.copy(models(wanted), workspace / "runs" / wanted)
    for block in page.blocks:
        where = f"{name(page)}:{block.line}"
        if block.skip:
            print(f"{where} is left out: {block.skip}")
        elif block.language == "yaml" and block.title:
            (workspace / block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "bash":
            run(["bash", "-euo", "pipefail", "-c", smaller(block.code)], workspace, where)
        elif block.language == "python":
            run([sys.executable, "-c", block.code], workspace, where)


def test_a_page_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\neqcli info missing.xyz\n```\n", encoding="utf-8")
    (block,) = read_page(page).blocks
    with pytest.raises(AssertionError, match="exit code 2"):
        run(["bash", "-euo", "pipefail", "-c", block.code], tmp_path, "page")
