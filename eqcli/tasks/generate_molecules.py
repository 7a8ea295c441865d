"""What a generation of molecules is asked for, and the single molecules that this means."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import Failure, InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter
from eqcli.tasks.generate_request import LARGEST_FACTOR, Generation, GenerationRequest

if TYPE_CHECKING:
    from eqcli.engine.molecule_sampler import MoleculeWish
    from eqcli.io.structure import Structure
    from eqcli.models.molecules.base import MoleculeGenerator

ASKED = ("n", "atoms", "scaffold", "condition", "guidance", "seed", "limit")
"""Arguments that outputs tell of, beside the sampling."""


def prepare_molecules(
    model: MoleculeGenerator, request: GenerationRequest, failures: list[Failure], report: Reporter
) -> Generation:
    """How a model carries a request out. Scaffolds that it cannot take are rows of `failures`.

    Raises InputError for arguments that do not fit the model.
    """
    from eqcli.engine.molecule_sampler import MoleculeSampler, MoleculeSettings
    from eqcli.metrics.molecules.flags import flags_of

    _refuse_those_of_crystals(request)
    _check(model, request)
    sampling = request.changed_sampling(model.config.sampling, model.config.name)
    settings = MoleculeSettings(request.seed, sampling, request.guidance, dict(request.condition), request.batch_atoms)
    wishes = MoleculeWishes(request, model, _scaffolds(request, model, failures))
    if (largest := wishes.largest) > LARGEST_FACTOR * (len(model.sizes) - 1):
        report.warning(f"molecules of {largest} atoms: the largest training molecule has {len(model.sizes) - 1}")
    asked = request.as_dict(*ASKED) | {"sampling": sampling.model_dump(mode="json")}
    return Generation(MoleculeSampler(model, settings, report=report), wishes, flags_of, asked)


class MoleculeWishes:
    """The single molecules, in order: all of the first scaffold, then those of the next.

    Parameters
    ----------
    scaffolds
        None where molecules are new.
    """

    def __init__(self, request: GenerationRequest, model: MoleculeGenerator, scaffolds: Sequence[Structure]) -> None:
        self.request = request
        self.model = model
        self.scaffolds = scaffolds

    def __len__(self) -> int:
        return self.request.n * max(1, len(self.scaffolds))

    @property
    def largest(self) -> int:
        """Atoms of the largest; numbers that are drawn are those of training molecules, unless a scaffold has more."""
        cores: list[Structure | None] = [*self.scaffolds] or [None]
        return self.request.atoms or max(self._drawn([0], core)[0] for core in cores)

    def of(self, samples: Sequence[int]) -> list[MoleculeWish]:
        """The wishes of these numbers."""
        from eqcli.engine.molecule_sampler import MoleculeWish

        found = []
        for number, group in groupby(samples, key=lambda sample: sample // self.request.n):
            members, core = list(group), self.scaffolds[number] if self.scaffolds else None
            sizes = [self.request.atoms] * len(members) if self.request.atoms else self._drawn(members, core)
            found += [MoleculeWish(sample, size, core) for sample, size in zip(members, sizes, strict=True)]
        return found

    def _drawn(self, samples: Sequence[int], core: Structure | None) -> list[int]:
        from eqcli.engine.molecule_sampler import drawn_atoms

        return drawn_atoms(self.model, self.request.seed, samples, 1 if core is None else len(core) + 1)


def _refuse_those_of_crystals(request: GenerationRequest) -> None:
    """Raises InputError for arguments that only generators of crystals have."""
    crystal = {
        "--formula": request.formula, "--formula-units": request.formula_units != 1,
        "--composition-of": request.composition_of, "--system": request.system is not None,
        "--value": request.value is not None, "--refine": request.refine, "--strength": request.strength != 0.3,
    }  # fmt: skip
    if given := [name for name, value in crystal.items() if value]:
        raise InputError(f"{', '.join(given)}: for generators of crystals, and this model makes molecules")


def _check(model: MoleculeGenerator, request: GenerationRequest) -> None:
    """Raises InputError for arguments that do not fit the model."""
    names = model.config.conditions.values
    for name, value in request.condition.items():
        if name not in names:
            knows = f"It knows {', '.join(names)}." if names else "It was trained without properties."
            raise InputError(
                f"--condition {name}: the model does not know this property",
                hint=did_you_mean(name, names, "properties") or knows,
            )
        if not np.isfinite(value):
            raise InputError(f"--condition {name}: expected a number, not {value}")
    if request.n < 1 or (request.atoms is not None and request.atoms < 1):
        raise InputError("the numbers of molecules and atoms are at least 1")
    if not np.isfinite(request.guidance):
        raise InputError(f"--guidance is a number, not {request.guidance}")
    if request.limit is not None and request.scaffold is None:
        raise InputError("--limit counts the molecules of --scaffold, which was not given")


def _scaffolds(request: GenerationRequest, model: MoleculeGenerator, failures: list[Failure]) -> list[Structure]:
    """The scaffolds of the file, where there is one. Raises InputError where none can be completed."""
    from eqcli.io import read_structures

    if request.scaffold is None:
        return []
    found = []
    for structure in islice(read_structures(request.scaffold, on_failure=failures.append), request.limit):
        try:
            found.append(scaffold_of(structure, model, request.atoms))
        except InputError as error:
            failures.append(Failure.of(structure.name, error))
    if not found:
        reason = failures[-1].reason if failures else ""
        raise InputError("no molecule of this file can be completed", Where(request.scaffold), reason)
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
