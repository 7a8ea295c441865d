"""Help and refusals come at once, because nothing heavy is imported for them.

Times depend on the machine, so the tests allow a factor; the bar itself is printed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

MACHINE_FACTOR = 5
"""How much slower than the bar a busy test machine may be."""
HEAVY = ("torch", "numpy", "ase", "rdkit", "pymatgen", "lightning", "e3nn", "matplotlib", "h5py")


def _run(*words: str, cwd: Path) -> tuple[float, subprocess.CompletedProcess[str]]:
    """The quicker of two runs: the first may read files from a cold disk."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - began)
    return min(times), done


def _wrong(folder: Path) -> Path:
    path = folder / "wrong.yaml"
    path.write_text("nme: x\ndata: {train: nowhere.extxyz}\nmodel: {name: mcae}\n", encoding="utf-8")
    return path


def test_help_is_quick(tmp_path: Path) -> None:
    seconds, done = _run("-m", "eqcli", "--help", cwd=tmp_path)
    print(f"eqcli --help: {seconds:.2f} s, the bar is 0.3 s")
    assert done.returncode == 0
    assert seconds < 0.3 * MACHINE_FACTOR


def test_a_wrong_recipe_is_refused_quickly(tmp_path: Path) -> None:
    seconds, done = _run("-m", "eqcli", "recipe", "check", str(_wrong(tmp_path)), cwd=tmp_path)
    print(f"eqcli recipe check of a wrong recipe: {seconds:.2f} s, the bar is 1 s")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert seconds < 1.0 * MACHINE_FACTOR


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["recipe", "check", "wrong.yaml"],
        ["train", "wrong.yaml"],
        ["info", "wrong.yaml"],
    ],
)
def test_nothing_heavy_is_imported(tmp_path: Path, words: list[str]) -> None:
    _wrong(tmp_path)
    code = (
        "import sys\nfrom eqcli.cli.app import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print('loaded:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    _, done = _run("-c", code, cwd=tmp_path)
    assert done.stdout.endswith("loaded: []\n"), done.stdout + done.stderr


def test_help_does_not_need_pydantic_or_rich(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom eqcli.cli.app import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print('loaded:', [m for m in ('pydantic', 'rich', 'yaml') if m in sys.modules])"
    )
    _, done = _run("-c", code, cwd=tmp_path)
    assert done.stdout.endswith("loaded: []\n")
