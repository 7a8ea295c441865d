"""Names of guests: models of other packages, given as `ase:module:Class` where a model file would stand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.files import sha256

SCHEME = "ase:"
FORM = "ase:module:Class"


@dataclass(frozen=True)
class GuestName:
    """The Python class, or function, that makes an ASE calculator.

    Attributes
    ----------
    module
        Where it is imported from; modules in the current folder are found too, after installed ones.
    attribute
        Its name in the module.
    """

    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str | Path) -> GuestName:
        """The name in `ase:module:Class`. Raises InputError for any other spelling."""
        module, colon, attribute = str(text).removeprefix(SCHEME).partition(":")
        words = [*module.split("."), attribute]
        if not (is_guest(text) and colon and all(word.isidentifier() for word in words)):
            hint = "For example ase:tblite.ase:TBLite or ase:mace.calculators:mace_mp."
            raise InputError(f"a calculator is named as {FORM}", Where(str(text)), hint)
        return cls(module, attribute)

    def __str__(self) -> str:
        return f"{SCHEME}{self.module}:{self.attribute}"


def is_guest(model: str | Path) -> bool:
    """Whether a model is named by a calculator and not by a file."""
    return str(model).startswith(SCHEME)


def version_facts(name: GuestName) -> dict[str, str | None]:
    """What tells one version of a guest from another: its package and version, or the SHA-256 of its module.

    Nothing is imported but the packages that hold the module, and those only where no installed
    distribution provides it. Raises InputError when there is no such module.
    """
    top = name.module.partition(".")[0]
    for package in _distributions().get(top, ()):
        return {"package": package, "version": metadata.version(package)}
    with current_folder_importable():
        try:
            spec = util.find_spec(name.module)
        except (ImportError, ValueError):
            spec = None
    if spec is None:
        raise no_module(name, name.module)
    file = Path(spec.origin) if spec.origin else None
    return {"module": name.module, "sha256": sha256(file) if file and file.is_file() else None}


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def no_module(name: GuestName, missing: str) -> InputError:
    """The error for a module that cannot be found: that of the guest, or one that it needs."""
    top = missing.partition(".")[0]
    of = "" if name.module.startswith(missing) else f", which {name.module} needs"
    hint = f"Install the package that provides it into this environment, e.g. pip install {top}."
    if top in _distributions():
        hint = f"The package {top} is installed; look at the spelling of what follows it."
    return InputError(f"there is no Python module '{missing}'{of}", Where(str(name)), hint)


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Modules of the current folder can be imported, after all others: none of them hides an installed one."""
    folder = str(Path.cwd())
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
