"""What import-linter cannot say: families keep apart, and light modules stay light when they are really imported."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import grimp
import pytest

HEAVY = ("torch", "e3nn", "torch_geometric", "lightning", "ase", "rdkit", "pymatgen", "matplotlib", "h5py", "scipy")
LIGHT = (
    "eqcli.cli.app",
    "eqcli.recipe.load",
    "eqcli.recipe.template",
    "eqcli.io.conventions",
    "eqcli.models.potentials.config",
)


def test_model_families_do_not_import_each_other() -> None:
    graph = grimp.build_graph("eqcli", cache_dir=None)
    families = [child for child in graph.find_children("eqcli.models") if graph.find_children(child)]
    assert "eqcli.models.potentials" in families
    for one, other in permutations(families, 2):
        assert not graph.find_shortest_chains(importer=one, imported=other, as_packages=True)


def test_nothing_unpickles_but_the_readers_that_run_nothing() -> None:
    graph = grimp.build_graph("eqcli", cache_dir=None, include_external_packages=True)
    assert graph.find_modules_that_directly_import("pickle") == {"eqcli.io.inert_objects", "eqcli.io.inert_pickle"}


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", ["geometry", "nn", "graph", "models"])
def test_the_core_loads_without_the_libraries_of_file_formats(package: str) -> None:
    code = (
        "import importlib, pkgutil, sys, eqcli\n"
        "banned = ('ase', 'rdkit', 'pymatgen', 'gemmi')\n"
        "sys.modules.update(dict.fromkeys(banned))\n"
        f"package = importlib.import_module('eqcli.{package}')\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
