"""What a generation of molecules is asked for, and the single molecules that this means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import Failure, InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter
from eqcli.tasks.generate_request import LARGEST_FACTOR, changed_sampling

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.molecule_sampler import MoleculeWish
    from eqcli.io.structure import Structure
    from eqcli.models.molecules.base import MoleculeGenerator


@dataclass(frozen=True)
class MoleculeRequest:
    """The arguments of :func:`eqcli.tasks.generate.generate` that say what molecules are wanted."""

    n: int
    atoms: int | None
    scaffold: Path | None
    condition: dict[str, float]
    guidance: float
    seed: int
    limit: int | None

    def as_dict(self) -> dict[str, Any]:
        """The request as plain data; files stand with their contents, not their places."""
        from eqcli.files import sha256

        plain = asdict(self)
        if self.scaffold is not None:
            plain["scaffold"] = {"name": Path(self.scaffold).name, "sha256": sha256(self.scaffold)}
        return plain

    def refuse_others(self, given: Sequence[str]) -> None:
        """Raises InputError for options that only generators of crystals have."""
        if given:
            raise InputError(f"{', '.join(given)}: for generators of crystals, and this model makes molecules")

    def check(self, model: MoleculeGenerator) -> None:
        """Raises InputError for arguments that do not fit the model."""
        names = model.config.conditions.values
        for name, value in self.condition.items():
            if name not in names:
                knows = f"It knows {', '.join(names)}." if names else "It was trained without properties."
                raise InputError(
                    f"--condition {name}: the model does not know this property",
                    hint=did_you_mean(name, names, "properties") or knows,
                )
            if not np.isfinite(value):
                raise InputError(f"--condition {name}: expected a number, not {value}")
        if self.n < 1 or (self.atoms is not None and self.atoms < 1):
            raise InputError("the numbers of molecules and atoms are at least 1")
        if not np.isfinite(self.guidance):
            raise InputError(f"--guidance is a number, not {self.guidance}")
        if self.limit is not None and self.scaffold is None:
            raise InputError("--limit counts the molecules of --scaffold, which was not given")


def prepare_molecules(
    loaded: ModelFile,
    request: MoleculeRequest,
    steps: int | None,
    sampling: Mapping[str, Any],
    batch_atoms: int | None,
    failures: list[Failure],
    report: Reporter,
) -> Any:
    """Sampler, wishes, flags and what was asked for, as plain data. Raises InputError as `generate` does."""
    from eqcli.engine.molecule_sampler import MoleculeSampler, MoleculeSettings
    from eqcli.metrics.molecules.flags import flags_of
    from eqcli.models.molecules.base import MoleculeGenerator

    model = loaded.model
    assert isinstance(model, MoleculeGenerator)
    request.check(model)
    given = dict(sampling) | ({"steps": steps} if steps is not None else {})
    settings = changed_sampling(model.config.sampling, given, model.config.name)
    wishes = wishes_of(request, model, failures)
    largest = max(wish.atoms for wish in wishes)
    if largest > LARGEST_FACTOR * (len(model.sizes) - 1):
        report.warning(f"molecules of {largest} atoms: the largest training molecule has {len(model.sizes) - 1}")
    sampler = MoleculeSampler(
        model,
        MoleculeSettings(request.seed, settings, request.guidance, request.condition, batch_atoms),
        report=report,
    )
    return sampler, wishes, flags_of, request.as_dict() | {"sampling": settings.model_dump(mode="json")}


def wishes_of(request: MoleculeRequest, model: MoleculeGenerator, failures: list[Failure]) -> list[MoleculeWish]:
    """The single molecules, in order: all of the first scaffold, then those of the next.

    Scaffolds that the model cannot take are rows of `failures`. Raises InputError where nothing is left.
    """
    from eqcli.engine.molecule_sampler import MoleculeWish, drawn_atoms

    if request.scaffold is None:
        sizes = [request.atoms] * request.n if request.atoms else drawn_atoms(model, request.seed, range(request.n))
        return [MoleculeWish(i, size) for i, size in enumerate(sizes)]
    cores = _scaffolds(request, model, failures)
    if not cores:
        raise InputError(
            "no molecule of this file can be completed",
            Where(request.scaffold),
            failures[-1].reason if failures else "",
        )
    wishes = []
    for number, core in enumerate(cores):
        samples = range(number * request.n, (number + 1) * request.n)
        sizes = (
            [request.atoms] * request.n if request.atoms else drawn_atoms(model, request.seed, samples, len(core) + 1)
        )
        wishes += [MoleculeWish(sample, size, core) for sample, size in zip(samples, sizes, strict=True)]
    return wishes


def _scaffolds(request: MoleculeRequest, model: MoleculeGenerator, failures: list[Failure]) -> list[Structure]:
    from eqcli.io import read_structures

    assert request.scaffold is not None
    found = []
    for structure in islice(read_structures(request.scaffold, on_failure=failures.append), request.limit):
        try:
            found.append(scaffold_of(structure, model, request.atoms))
        except InputError as error:
            failures.append(Failure.of(structure.name, error))
    return found


def scaffold_of(structure: Structure, model: MoleculeGenerator, atoms: int | None) -> Structure:
    """The heavy atoms of a molecule with their bonds in the form that the model knows; hydrogens are made anew.

    Raises InputError for what the model cannot take.
    """
    if structure.pbc.any():
        raise InputError("a periodic structure, and no molecule", structure.where)
    if not np.isfinite(structure.positions).all():
        raise InputError("positions are not finite", structure.where)
    from eqcli.models.molecules.vocabulary import AROMATIC

    known = model.vocabulary
    if model.makes_bonds and not structure.info.get("bonds") and int((structure.numbers > 1).sum()) > 1:
        raise InputError(
            "this model makes bonds, and the scaffold states none", structure.where, "Give an SDF file with bonds."
        )
    core = _heavy(structure, _in_form(structure, aromatic=AROMATIC in known.bonds))
    if not len(core):
        raise InputError("the scaffold has no heavy atoms", structure.where)
    if strangers := sorted(set(core.numbers.tolist()) - set(known.elements)):
        names, seen = (", ".join(SYMBOLS[z] for z in zs) for zs in (strangers, known.elements))
        raise InputError(f"the model was not trained on {names}", structure.where, f"It knows {seen}.")
    if model.makes_bonds:
        _refuse_unknown_bonds(core, model)
    if atoms is not None and atoms <= len(core):
        raise InputError(
            f"--atoms {atoms}: the scaffold alone has {len(core)} heavy atoms", structure.where, "Hydrogens count too."
        )
    return core


def _in_form(structure: Structure, *, aromatic: bool) -> Sequence[Sequence[float]]:
    """The bonds with aromatic rings as the model learned them; those that RDKit refuses as they are."""
    from eqcli.io.rdkit_molecule import molecule_of, sanitised, structure_of

    bonds: Sequence[Sequence[float]] = structure.info.get("bonds") or []
    if not bonds:
        return bonds
    try:
        molecule = molecule_of(structure)
        found = structure_of(sanitised(molecule) if aromatic else molecule, aromatic=aromatic).info["bonds"]
    except InputError:
        return bonds
    return list(found)


def _refuse_unknown_bonds(core: Structure, model: MoleculeGenerator) -> None:
    """Raises InputError for bonds and formal charges that no training molecule had."""
    from eqcli.data.molecules import BOND_CODES, BOND_ORDERS

    known = model.vocabulary
    if odd := [order for *_, order in core.info["bonds"] if BOND_CODES.get(order) not in known.bonds]:
        seen = ", ".join(f"{BOND_ORDERS[code]:g}" for code in known.bonds if code)
        raise InputError(
            f"the model was not trained on bonds of the order {odd[0]:g}", core.where, f"It knows {seen or 'none'}."
        )
    charges = core.arrays.get("formal_charge", np.zeros(len(core), dtype=np.int64))
    if odd := sorted(set(charges.tolist()) - set(known.charges)):
        raise InputError(f"the model was not trained on atoms of the formal charge {odd[0]:+d}", core.where)


def _heavy(structure: Structure, bonds: Sequence[Sequence[float]]) -> Structure:
    """The atoms that are no hydrogens, and the bonds between them."""
    from eqcli.io.structure import Structure

    kept = np.flatnonzero(structure.numbers > 1)
    place = {int(atom): number for number, atom in enumerate(kept)}
    inner = [[place[int(i)], place[int(j)], order] for i, j, order in bonds if i in place and j in place]
    charges = structure.arrays.get("formal_charge")
    return Structure(
        structure.numbers[kept],
        structure.positions[kept],
        info={"bonds": inner},
        arrays={} if charges is None else {"formal_charge": np.asarray(charges)[kept]},
        where=structure.where,
    )
