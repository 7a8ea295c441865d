"""What is asked of a registration of two files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from eqcli.errors import InputError

Method = Literal["auto", "fpfh", "pare-net", "ume", "icp"]
Kind = Literal["clouds", "molecules", "proteins", "crystals"]

SAMPLES = 50_000
"""Points that a mesh is sampled with."""

FOR_CLOUDS = ("method", "model", "solver", "refine", "voxel", "start", "source_units", "target_units")
"""Options that clouds alone have."""

FOR_KIND: dict[Kind, tuple[str, ...]] = {
    "molecules": ("permute", "heavy", "reflect"),
    "proteins": ("on", "by", "source_chains", "target_chains"),
    "crystals": ("ltol", "stol", "angle_tol", "primitive", "scale"),
}
"""Options that other kinds alone have."""


def option_of(name: str) -> str:
    """An option as it is written."""
    return "--" + name.removesuffix("s" if name.endswith("chains") else "").replace("_", "-")


@dataclass(frozen=True)
class RegisterRequest:
    """Options of a registration; the names are those of the command line, None is the usual choice.

    Attributes
    ----------
    source, target
        What is moved, and what stays.
    kind
        What the files are taken for; None decides by their content.
    method, model, solver, refine, voxel
        How clouds are registered: see `engine.registration.RegistrationSettings`. The voxel is in units of the target.
    start
        A file with the 4 x 4 matrix that the registration begins from, in place of a search.
    seed
        Of everything that is drawn.
    source_units, target_units
        Units of length, for files that do not state theirs; `same` for both says that they agree.
    samples
        Points of a mesh.
    permute, heavy, reflect
        Molecules: whether atoms are matched by structure instead of by number, whether hydrogens are left out,
        whether a mirror image may be used.
    on, by, source_chains, target_chains
        Proteins: the atoms that are fitted, how residues are matched, and the chains that take part.
    ltol, stol, angle_tol, primitive, scale
        Crystals: tolerances of the lattice (a fraction), the sites (a fraction of the mean free length per atom) and
        the angles (degrees), whether primitive cells are compared, whether volumes may differ.
    device, threads
        Where networks run, and how many threads the rest has; None for those of torch, and one in the refinement.
    """

    source: Path
    target: Path
    kind: Kind | None = None
    method: Method = "auto"
    model: Path | None = None
    solver: str | None = None
    refine: str | None = None
    voxel: float | None = None
    start: Path | None = None
    seed: int = 0
    source_units: str | None = None
    target_units: str | None = None
    samples: int = SAMPLES
    permute: bool = False
    heavy: bool = False
    reflect: bool = False
    on: Literal["ca", "backbone", "heavy", "all"] | None = None
    by: Literal["structure", "sequence", "number"] | None = None
    source_chains: tuple[str, ...] = ()
    target_chains: tuple[str, ...] = ()
    ltol: float | None = None
    stol: float | None = None
    angle_tol: float | None = None
    primitive: bool | None = None
    scale: bool | None = None
    device: str = "auto"
    threads: int | None = None

    def check(self) -> None:
        """Raises InputError for options that contradict each other or lack something."""
        if self.method == "pare-net" and self.model is None:
            raise InputError("--method pare-net needs a trained model", hint="Name its file with --model.")
        if self.model is not None and self.method not in ("auto", "pare-net"):
            raise InputError(f"--model: --method {self.method} takes none", hint="Leave one of them out.")
        if self.solver is not None and self.method == "icp":
            raise InputError(f"--solver {self.solver}: --method icp takes no matches", hint="Leave one of them out.")
        if self.solver == "one-match" and (self.method == "fpfh" or (self.method == "auto" and self.model is None)):
            hint = "Take --method ume, or pare-net with a model, or another solver."
            raise InputError("--solver one-match needs matches that bring a rotation", hint=hint)
        if self.voxel is not None and not self.voxel > 0:
            raise InputError(f"--voxel {self.voxel:g}: a length above 0 was expected")

    def given(self, names: Sequence[str]) -> list[str]:
        """Which of some options differ from their usual values."""
        usual = {one.name: one.default for one in fields(self)}
        return [name for name in names if getattr(self, name) != usual[name]]

    def facts(self) -> dict[str, Any]:
        """What the motion depends on beside the two files, as plain data."""
        from eqcli.files import sha256

        apart = ("source", "target", "model", "start", "device", "threads")
        plain = {name: value for name, value in vars(self).items() if name not in apart}
        files = {"model": self.model, "start": self.start}
        return plain | {name: None if path is None else sha256(path) for name, path in files.items()}
