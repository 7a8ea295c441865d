"""The folder of a training run: what is in it, and whether it may be started, resumed or replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, sha256
from eqcli.locks import LOCK_FILE, FolderLock

FREE = (
    "training.workers",
    "training.checkpoint.every_minutes",
    "training.loggers",
    "training.valid_batch",
    "training.micro_batch",
)
"""Settings that may change on resume, since the weights do not depend on them, or by rounding alone."""

LENGTHS = ("training.max_epochs", "training.max_minutes")
"""Settings that may grow on resume."""

INPUTS = (
    "data.train",
    "data.valid",
    "data.test",
    "data.generated.proteins",
    "data.generated.files",
    "data.generated.valid_files",
)
"""Files that may move between start and resume, but not change."""


class RunFolder:
    """Names of the files of a run, and the rules for using the folder.

    `recipe.yaml` is the first file written and marks the folder as a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.provenance = self.path / "provenance.json"
        self.data = self.path / "data"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.safetensors"
        self.result = self.path / "result.json"
        self._lock = FolderLock(self.path)

    OWN = (
        "data",
        "checkpoints",
        "tensorboard",
        "model.safetensors",
        "result.json",
        "metrics.csv",
        "split.json",
        "statistics.json",
        "provenance.json",
        "recipe.yaml",
    )
    """Everything that a run writes, the mark of a run last."""

    def open(self, recipe: dict[str, Any], *, resume: bool, overwrite: bool) -> bool:
        """Makes the folder ready for a run of `recipe` (as plain data); True when there is a run to go on with.

        No other process can open it until `close`, or the end of this process.

        Raises
        ------
        InputError
            The folder is in use and neither option was given; it is no run; its recipe is another one; or
            another process is training in it.
        """
        self.refuse(resume=resume, overwrite=overwrite)
        self._lock.take()
        # Another run may have begun and ended meanwhile.
        self._refuse(resume or overwrite)
        self._remove_leftovers()
        there = self.recipe.is_file()
        if there and resume:
            self._compare(recipe)
        elif there:
            self.clear()
            there = False
        with atomic_path(self.recipe) as temporary:
            temporary.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return there

    def close(self) -> None:
        """Lets other processes use the folder."""
        self._lock.release()

    def refuse(self, *, resume: bool, overwrite: bool) -> None:
        """Raises InputError where `open` would for what is in the folder; changes nothing."""
        if resume and overwrite:
            raise InputError("--resume and --overwrite exclude each other", hint="Give one of them.")
        self._refuse(resume or overwrite)

    def _refuse(self, replace: bool) -> None:
        """Raises InputError where a run may not be, or must not be without leave to go on with it or replace it."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError("this is a file, not a folder", Where(self.path), "Choose another name with -o.")
        if self.recipe.is_file() and not replace:
            raise InputError(
                "this folder holds a run already",
                Where(self.path),
                "Add --resume to go on with it, --overwrite to start it again, or choose another folder with -o.",
            )
        if not self.recipe.is_file() and self.path.is_dir() and not self._blank():
            raise InputError(
                "this folder is not empty and holds no training run (no recipe.yaml); "
                "--resume and --overwrite are for runs only",
                Where(self.path),
                "Choose another folder with -o.",
            )

    def _blank(self) -> bool:
        """Whether nothing is in the folder but what a run killed in its first moment leaves behind."""
        return all(path.name == LOCK_FILE or path.name.startswith(".recipe.") for path in self.path.iterdir())

    def clear(self) -> None:
        """Removes what a run wrote, and nothing else."""
        for name in self.OWN:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def discard(self) -> None:
        """Undoes `open` of a new run that could not start."""
        self.clear()
        self.close()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _remove_leftovers(self) -> None:
        """Files that a killed process was writing under temporary names."""
        for folder in (self.path, self.checkpoints, self.data):
            if folder.is_dir():
                for leftover in folder.glob(".*.tmp.*"):
                    leftover.unlink(missing_ok=True)

    def _compare(self, recipe: dict[str, Any]) -> None:
        # Recipes of runs begun before there were families name none.
        stored = {"family": "potentials", **yaml.safe_load(self.recipe.read_text(encoding="utf-8"))}
        old, new = flatten(stored), flatten(recipe)
        changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
        changed = [key for key in changed if not any(key == free or key.startswith(f"{free}.") for free in FREE)]
        changed = [key for key in changed if not _longer(key, old.get(key), new.get(key))]
        if any(key in INPUTS for key in changed) and self._same_content(old, new):
            changed = [key for key in changed if key not in INPUTS]
        if changed:
            listed = "; ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in changed)
            raise InputError(
                f"the recipe is not the one this run was started with: {listed}",
                Where(self.recipe),
                "Resume with the recipe of the run (training.max_epochs and training.max_minutes may grow, "
                "data files may move), or start a new run with -o.",
            )

    def _same_content(self, old: dict[str, Any], new: dict[str, Any]) -> bool:
        """Whether the data files, under whatever names, are still those that the run noted the content of."""
        if any(isinstance(recipe.get(key), int) for recipe in (old, new) for key in INPUTS):
            return False  # numbers of systems to simulate
        before, now = ([_names(recipe.get(key)) for key in INPUTS] for recipe in (old, new))
        if not self.provenance.is_file() or [len(names) for names in before] != [len(names) for names in now]:
            return False
        noted = json.loads(self.provenance.read_text(encoding="utf-8")).get("data", [])
        return [entry["sha256"] for entry in noted] == [sha256(name) for names in now for name in names]


def _longer(key: str, old: Any, new: Any) -> bool:
    """Whether a setting is a length of training that has grown; a limit that was taken away has grown too."""
    if key not in LENGTHS or old is None:
        return False
    return new is None or bool(new > old)


def _names(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else list(files or ())


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
