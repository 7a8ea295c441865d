"""The same measurement as `peer_nequip.py time`, of any potential of eqcli.

python tests/benchmarks/own_potential.py CONFIG.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from own_mace import time_potential

from eqcli.models.potentials.config import POTENTIALS

if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    config = POTENTIALS[job["config"]["name"]][2].model_validate(job["config"])
    print(json.dumps(time_potential(config, job)))
