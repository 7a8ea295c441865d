"""The same measurement as `peer_tensornet.py time`, of eqcli's TensorNet.

python tests/benchmarks/own_tensornet.py CONFIG.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from own_mace import time_potential

from eqcli.models.potentials.config import TensorNetConfig

if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(time_potential(TensorNetConfig.model_validate(job["config"]), job)))
