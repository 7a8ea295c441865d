"""A receptor made ready once for all the ligands that are docked into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.engine.docking_box import Box, pocket_box
from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.io.receptor import Receptor
    from eqcli.models.docking.affinity_maps import AffinityMaps
    from eqcli.models.docking.pockets import Pocket
    from eqcli.models.docking.site import Site

MAP_SITES = 6
"""Sites whose maps are held at once; one of 25 Å takes some 10 MB for each type of atom."""


@dataclass
class PreparedReceptor:
    """A receptor, what the network made of it, and its pockets and sites, found when they are first needed.

    Attributes
    ----------
    receptor
        As it was read.
    encoded
        What the network made of it; None without a network.
    device
        Where sites live.
    """

    receptor: Receptor
    encoded: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _pockets: list[Pocket] | None = None
    _sites: dict[tuple[Box, torch.dtype], Site] = field(default_factory=dict)
    _maps: dict[Box, AffinityMaps] = field(default_factory=dict)

    @property
    def types(self) -> NDArray[np.int64]:
        """Atom types of all atoms `[N]`, -1 for hydrogens."""
        return np.asarray(self.receptor.structure.arrays["atom_type"], dtype=np.int64)

    def pockets(self, count: int) -> list[Pocket]:
        """The best `count` pockets that geometry shows. Raises InputError where there is none."""
        if self._pockets is None or len(self._pockets) < count:
            from eqcli.io.atom_types import RADII
            from eqcli.models.docking.pockets import find_pockets

            typed = self.types >= 0
            radii = np.array([RADII[code] for code in self.types[typed].tolist()], dtype=np.float64)
            self._pockets = find_pockets(self.receptor.structure.positions[typed], radii, count=max(count, 10))
        if not self._pockets:
            raise InputError(
                "no pocket was found in this receptor",
                Where(self.receptor.path),
                "Say where to look with --pocket, e.g. --pocket 12.1,3.0,-7.7:10.",
            )
        return self._pockets[:count]

    def pocket_boxes(self, count: int) -> list[Box]:
        """The boxes of the best pockets, those inside one another left out."""
        boxes: list[Box] = []
        for pocket in self.pockets(count):
            box = pocket_box(np.asarray(pocket.centre), np.asarray(pocket.points))
            if box not in boxes:
                boxes.append(box)
        return boxes

    def site(self, box: Box, dtype: torch.dtype = torch.float32) -> Site:
        """The receptor's heavy atoms that are felt in a box. Raises InputError where there are none."""
        key = (box, dtype)
        if key not in self._sites:
            from eqcli.models.docking.site import Site

            tensors = [
                torch.as_tensor(np.asarray(values), dtype=dtype, device=self.device)
                for values in (self.receptor.structure.positions, box.centre, box.size)
            ]
            types = torch.as_tensor(self.types, device=self.device)
            site = Site.around(tensors[0], types, tensors[1], tensors[2])
            if not len(site.types):
                raise InputError(
                    f"no atom of the receptor is near the box at {box}",
                    Where(self.receptor.path),
                    "Give --pocket in the coordinates of the receptor's file.",
                )
            self._keep(key, site)
        return self._sites[key]

    def _keep(self, key: tuple[Box, torch.dtype], site: Site) -> None:
        """Holds a site, and lets the oldest go: places that a network chooses are new for every ligand."""
        if len(self._sites) >= 4 * MAP_SITES:
            self._sites.pop(next(iter(self._sites)))
        self._sites[key] = site

    def maps(self, box: Box) -> AffinityMaps | None:
        """What was put down for this box by `keep_maps`; None before."""
        return self._maps.get(box)

    def keep_maps(self, box: Box, maps: AffinityMaps) -> None:
        """Holds the maps of a box for the next ligand."""
        if box not in self._maps and len(self._maps) >= MAP_SITES:
            self._maps.pop(next(iter(self._maps)))
        self._maps[box] = maps
