"""What is asked of a docking, and what it is done with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.docker import DockSettings, Minimiser
from eqcli.engine.docking_pose import RankBy
from eqcli.errors import InputError, Where
from eqcli.tasks.dock_pair import Source, read_table, sources_of
from eqcli.tasks.dock_place import parse_place

if TYPE_CHECKING:
    from eqcli.engine.docker import Docker
    from eqcli.engine.pose_network import PoseNetwork

PHYSICS = "physics"
"""Stands for no model at all: poses are found by the search alone."""

POSES, POSES_OF_NETWORK = 9, 1
"""Poses of a ligand, where none were asked for: of a search, and of a network alone."""


@dataclass(frozen=True)
class DockRequest:
    """Options of a docking; the names are those of the command line.

    Attributes
    ----------
    model
        A model file, or the word `physics`.
    receptor, ligands, table
        A receptor and its ligands (files or SMILES), or a table of pairs.
    template
        SMILES for ligands of PDB and PDBQT files.
    pocket, margin
        Where to look, as text, and Å around a reference ligand or residues.
    poses
        Of each ligand; None for the usual number.
    physics_only, network_only
        Whether the network is left out, or the search.
    leave_out, waters
        Groups of the receptor's file to leave out; whether its waters are kept.
    minimise, rank_by
        As in `DockSettings`; None for what fits: a force field after a search, and the confidence without one.
    seed, effort
        Of conformers and search.
    pages
        Whether pairs have pages; None for those of a screen alone.
    """

    model: str
    receptor: Path | None = None
    ligands: Sequence[str] = ()
    table: Path | None = None
    template: str | None = None
    pocket: str | None = None
    margin: float | None = None
    poses: int | None = None
    physics_only: bool = False
    network_only: bool = False
    leave_out: Sequence[str] = ()
    waters: bool = False
    minimise: Minimiser | None = None
    rank_by: RankBy | None = None
    seed: int = 0
    effort: float = 1.0
    device: str = "auto"
    pages: bool | None = None

    def check(self) -> None:
        """Raises InputError for options that contradict each other or lack something."""
        if self.physics_only and self.network_only:
            raise InputError("--physics-only and --network-only exclude each other", hint="Give one of them.")
        if self.network_only and self.model == PHYSICS:
            raise InputError("--network-only needs a model, and `physics` is none", hint="Name a model file.")
        if self.table is None and self.receptor is None:
            raise InputError(
                "nothing to dock was given", hint="Give --receptor and --ligand, or a table of pairs with --table."
            )
        if self.table is None and not self.ligands:
            raise InputError("no ligand was given", hint="Give --ligand with a file or a SMILES.")
        if self.table is not None and self.ligands:
            raise InputError("--ligand: the table names the ligands", Where(self.table), "Leave one of them out.")
        if self.margin is not None and self.pocket is None and self.table is None:
            raise InputError("--margin: for a pocket that is named by residues or a ligand", hint="Add --pocket.")
        if self.rank_by in ("confidence", "both") and (self.physics_only or self.model == PHYSICS):
            raise InputError(f"--rank-by {self.rank_by}: without a network there is no confidence")
        if not self.effort > 0:
            raise InputError(f"--effort {self.effort:g}: a number above 0 was expected")

    def settings(self) -> DockSettings:
        """How the docker works."""
        usual = POSES_OF_NETWORK if self.network_only else POSES
        return DockSettings(
            poses=self.poses or usual,
            search=not self.network_only,
            effort=self.effort,
            minimise=self.minimise or ("none" if self.network_only else "mmff"),
            rank_by=self.rank_by or ("confidence" if self.network_only else "score"),
        )

    def facts(self) -> dict[str, Any]:
        """What poses depend on, as plain data: a screen goes on only with the same."""
        from eqcli.files import sha256

        names = ("template", "pocket", "margin", "physics_only", "network_only", "waters", "seed")
        bare = self.physics_only or self.model == PHYSICS
        return {
            "model": PHYSICS if bare else sha256(self.model),
            "table": None if self.table is None else sha256(self.table),
            "receptor": None if self.receptor is None else str(self.receptor),
            "ligands": list(self.ligands),
            "leave_out": list(self.leave_out),
            **{name: getattr(self, name) for name in names},
            "settings": asdict(self.settings()),
        }


def requested_sources(request: DockRequest) -> Iterator[Source]:
    """The rows of the table or the ligands of the command line. Raises InputError for what is missing."""
    place = None if request.pocket is None else parse_place(request.pocket, request.margin)
    if request.table is not None:
        return read_table(
            request.table, margin=request.margin, receptor=request.receptor, place=place, template=request.template
        )
    assert request.receptor is not None
    return iter(list(sources_of(request.receptor, request.ligands, place, request.template)))


def make_docker(request: DockRequest) -> tuple[Docker, dict[str, Any], str]:
    """The docker, the provenance of what it makes, and the device in words. Raises InputError as loading does."""
    from eqcli.engine.device import choose_device
    from eqcli.engine.docker import Docker

    device = choose_device(request.device)
    network, facts = _network(request)
    facts["docking"] = {key: value for key, value in request.facts().items() if key not in ("model", "ligands")}
    return Docker(network, request.settings(), device=device), facts, str(device)


def _network(request: DockRequest) -> tuple[PoseNetwork | None, dict[str, Any]]:
    from eqcli.engine.pose_network import network_of
    from eqcli.engine.provenance import provenance
    from eqcli.tasks.inference import inference_provenance, load_for_inference

    if request.physics_only or request.model == PHYSICS:
        return None, provenance() | {"model": {"name": PHYSICS}}
    loaded = load_for_inference(Path(request.model), request.device, None)
    return network_of(loaded), inference_provenance(loaded)
