"""eqcli: an equivariant workbench for molecules and materials.

Beside the command line stand functions that take a model into other programs. They load torch when called, not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from eqcli.engine.ase_calculator import PotentialCalculator
    from eqcli.engine.export_lammps import LammpsModel
    from eqcli.engine.export_torch_sim import TorchSimModel

__version__ = "0.1.0"
__all__ = ["__version__", "calculator", "lammps_model", "torch_sim_model"]


def _engine(module: str) -> Any:
    """A module of the engine, which loads torch."""
    return import_module(f"eqcli.engine.{module}")


def calculator(
    model: str | Path,
    *,
    device: str = "auto",
    precision: str | None = None,
    backend: str = "auto",
    compile: bool = False,
) -> PotentialCalculator:
    """An ASE calculator: `atoms.calc = calculator("model.safetensors")`.

    Parameters
    ----------
    model
        A model file.
    device
        `auto`, `cpu`, `cuda` or `cuda:N`.
    precision
        `float32` or `float64`; None keeps the precision of the file. Relaxations below 0.01 eV/Å, phonons and long
        dynamics are better in float64.
    backend
        Kernels for messages between atoms, as the option `--backend` of the command line.
    compile
        Compiles the model with torch.compile; kept only if it gives what the model gives without.

    Raises
    ------
    InputError
        A file that is no model, an unknown device, precision or backend.
    """
    opened = _engine("open_model").open_model(model, device, precision, compile=compile)
    found: PotentialCalculator = _engine("ase_calculator").PotentialCalculator(opened, backend=backend)
    return found


def torch_sim_model(
    model: str | Path,
    *,
    device: str = "auto",
    precision: str | None = None,
    backend: str = "auto",
    compile: bool = False,
    stress: bool = True,
) -> TorchSimModel:
    """A model for torch-sim, which relaxes and moves many structures at once; needs `pip install 'eqcli[torch-sim]'`.

    `stress` says whether the stress is computed; the other parameters are those of :func:`calculator`.
    """
    opened = _engine("open_model").open_model(model, device, precision, compile=compile)
    found: TorchSimModel = _engine("export_torch_sim").TorchSimModel(opened, backend=backend, stress=stress)
    return found


def lammps_model(
    model: str | Path,
    *,
    device: str = "auto",
    precision: str | None = None,
    backend: str = "auto",
    compile: bool = False,
) -> LammpsModel:
    """A model for LAMMPS from Python; its `attach` gives it to a running LAMMPS through `fix external`.

    Parameters are those of :func:`calculator`.
    """
    opened = _engine("open_model").open_model(model, device, precision, compile=compile)
    found: LammpsModel = _engine("export_lammps").LammpsModel(opened, backend=backend)
    return found
