"""Whether a model tells left from right, and whether it may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eqcli.audit.compare import difference, rms
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.audit.symmetry import rotated
from eqcli.io.structure import FloatArray, Structure

CHIRAL = 0.05
"""Å: structures closer than this to their mirror image, atom by atom, tell nothing of handedness."""


def chirality(structure: Structure) -> float:
    """Root mean square distance of the atoms of a molecule from those of its mirror image, best laid on it, Å.

    Zero when the atoms of a molecule lie in a plane; infinite for crystals, where this says nothing. Atoms are
    not exchanged, so that a molecule whose mirror image is itself with like atoms exchanged counts as chiral.
    """
    if structure.pbc.any():
        return float("inf")
    centred: FloatArray = structure.positions - structure.positions.mean(axis=0)
    singular = np.linalg.svd(centred.T @ centred, compute_uv=False)
    # Kabsch: the best proper rotation onto -x reaches s1 + s2 - s3 of s1 + s2 + s3.
    return float(np.sqrt(max(0.0, 4 * singular[2]) / max(1, len(structure))))


def check_handedness(subject: Subject, structures: Sequence[Structure]) -> Check:
    """Every output of every structure against that of the mirror image.

    The mirror image is the inverted structure: inversion commutes with rotations, so that a preferred direction
    is not taken for handedness.
    """
    limit = subject.limit("reflection")
    errors: dict[str, list[float]] = {name: [] for name in subject.outputs}
    sizes: dict[str, float] = dict.fromkeys(subject.outputs, 0.0)
    chiral = [structure for structure in structures if chirality(structure) > CHIRAL]
    for structure in structures:
        operation = rotated("reflection", structure, -np.eye(3))
        plain, mirrored = subject.predict([structure, operation.structure], stress=bool(structure.pbc.all()))
        error = difference(mirrored, operation.act_on(plain, subject.outputs), len(structure), subject.floors)
        for name, figure in error.figures.items():
            errors[name].append(figure)
            sizes[name] = max(sizes[name], rms(plain.values[name]))
    told = {name: _verdict(subject, name, values, sizes[name], limit) for name, values in errors.items() if values}
    contrary = [name for name, verdict in told.items() if verdict["sees"] != verdict["should"]]
    words = "; ".join(f"{name} {'sees' if v['sees'] else 'does not see'} handedness" for name, v in told.items())
    if contrary:
        words += f", against what is declared for {', '.join(contrary)}"
    return Check(
        "handedness",
        float(len(contrary)),
        f"{words}; {len(chiral)} of {len(structures)} structures differ from their mirror image",
        subject.precision,
        figures={"outputs": told, "chiral_structures": len(chiral)},
        distribution=[max(values) for values in errors.values() if values],
    )


def _verdict(subject: Subject, name: str, errors: list[float], size: float, limit: float) -> dict[str, Any]:
    """Whether an output sees handedness and whether it should; `error` is against its declared law."""
    law = subject.outputs[name]
    broken = not max(errors) <= limit
    # What holds to the law of a pseudoscalar sees handedness when it is not zero everywhere.
    sees = broken != law.sees_handedness if not law.sees_handedness else not broken and size > limit
    return {"law": str(law), "sees": bool(sees), "should": law.sees_handedness, "error": max(errors), "size": size}
