"""SchNetPack's databases: ASE databases that state the units of their properties in the metadata.

QM9's properties get their common names (`qm9.ALIASES`); the old ones may still be used to name a label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eqcli.io import qm9
from eqcli.io.conventions import EnergyUnit
from eqcli.io.frame import Frame
from eqcli.io.layout import Layout
from eqcli.io.unit_names import energy_unit, force_unit, length_unit

UNITS, LENGTH = "_property_unit_dict", "_distance_unit"
QM9 = frozenset({"energy_U0", "enthalpy_H", "dipole_moment"})
"""Properties that tell QM9."""


def layout_of(metadata: Any) -> Layout | None:
    """What the metadata say about units; None where they say nothing."""
    stated = metadata.get(UNITS) if isinstance(metadata, dict) else None
    if not isinstance(stated, dict):
        return None
    aliases = qm9.ALIASES if stated.keys() >= QM9 else {}
    units: dict[str, EnergyUnit] = {}
    for name, text in stated.items():
        forces = force_unit(str(text))
        unit = energy_unit(str(text)) or (forces[0] if forces else None)
        if unit is not None:
            units[aliases.get(str(name), str(name))] = unit
    remark = "units as its metadata state them"
    length = length_unit(str(metadata.get(LENGTH, "")))
    if aliases:
        known = qm9.layout("QM9, SchNetPack's database")
        return replace(known, units=units, length_unit=length, remark=f"{remark}; {known.remark}")
    return Layout("SchNetPack's database", units=units, length_unit=length, remark=remark)


def named(frame: Frame, layout: Layout | None) -> Frame:
    """The frame with that layout, its properties under their common names."""
    if layout is None:
        return frame
    return replace(frame, info={layout.aliases.get(k, k): v for k, v in frame.info.items()}, layout=layout)
