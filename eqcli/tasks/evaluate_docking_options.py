"""Options of an evaluation of docking, and what its report records of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eqcli.metrics.releases import installed

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile

LIBRARIES: Final = ("rdkit", "posebusters", "vina", "meeko", "torch", "numpy", "scipy")


def checks_wanted(posebusters: bool, warnings: list[str]) -> bool:
    """Whether PoseBusters checks poses; not, with a warning, where it is not installed."""
    from eqcli.errors import MissingDependency
    from eqcli.metrics.posebusters import require_posebusters

    if not posebusters:
        return False
    try:
        require_posebusters("docking")
    except MissingDependency as missing:
        warnings.append(f"the validity of poses was left out: PoseBusters is not installed (`{missing.hint}`)")
        return False
    return True


def settings_of(
    loaded: ModelFile | None,
    pocket: str,
    *,
    poses: int,
    effort: float,
    bootstrap: int,
    seed: int,
    checked: bool,
    timeout: float | None,
    limit: int | None,
    vina: bool,
    workers: int | None,
) -> dict[str, Any]:
    """Everything that figures depend on beside the files."""
    import torch

    from eqcli.engine.docking_box import MARGIN
    from eqcli.metrics.docking.docking_table import FAR, NEAR
    from eqcli.metrics.docking.validity import REACH, TIMEOUT
    from eqcli.metrics.work import available_cores
    from eqcli.tasks.evaluate_docking_training import SAME

    found: dict[str, Any] = {
        "network": loaded is not None,
        "pocket": pocket,
        "margin_of_a_known_pocket": f"{MARGIN:g} Å",
        "start": "a conformer that RDKit makes of the bonds; no torsion of the crystal pose",
        "reference": "the nearest copy of the ligand in the crystal",
        "poses": poses,
        "effort": effort,
        "rmsd_thresholds": [NEAR, FAR],
        "seen_from_identity": SAME,
        "posebusters": f"redock, residues within {REACH:g} Å" if checked else "not asked",
        "posebusters_timeout": TIMEOUT if timeout is None else timeout,
        "bootstrap": f"{bootstrap} resamples of proteins, 95 %",
        "seed": seed,
        "limit": limit,
        "threads": torch.get_num_threads(),
    }
    if vina:
        from eqcli.engine.vina_peer import EXHAUSTIVENESS

        found |= {"vina_exhaustiveness": EXHAUSTIVENESS, "vina_threads": workers or available_cores()}
    return found | {"versions": installed(LIBRARIES)}
