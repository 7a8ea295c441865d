"""Registration of two molecules, proteins or crystals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, InputError, Where

if TYPE_CHECKING:
    from eqcli.engine.registered_structures import RegisteredStructures
    from eqcli.tasks.register_request import Kind, RegisterRequest


@dataclass
class StructureResult:
    """What the registration of two structures ended with.

    Attributes
    ----------
    registered
        The motion and what speaks for it.
    source, target
        The files.
    notes
        What reading them said.
    seconds
        Without reading.
    """

    registered: RegisteredStructures
    source: Path
    target: Path
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """OK, or PARTIAL where there is no reliable alignment."""
        return ExitCode.OK if self.registered.reliable else ExitCode.PARTIAL

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "source": str(self.source),
            "target": str(self.target),
            **self.registered.as_dict(),
            "notes": [*self.notes, *self.registered.notes],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def write(self, output: Path, *, overwrite: bool = False, provenance: dict[str, Any] | None = None) -> None:
        """Writes the moved source. Raises InputError where there is no reliable alignment, or as writing does."""
        from eqcli.io.writing import write_structures

        if not self.registered.reliable:
            raise InputError("there is no reliable alignment, so nothing is written", Where(output))
        write_structures(output, [self.registered.moved], overwrite=overwrite, provenance=provenance)


def register_structures(request: RegisterRequest) -> StructureResult:
    """The rigid motion that lays the source onto the target, atom by atom.

    Raises
    ------
    InputError
        A file cannot be read, the two are of different kinds, or their atoms cannot be matched as asked.
    MissingDependency
        Crystals, and pymatgen is not installed.
    """
    raise NotImplementedError


def kind_of(source: Path, target: Path) -> Kind:
    """What two files are: crystals repeat in three directions, proteins have residues with a Cα, molecules are the
    other structures, and everything else is clouds.

    Raises InputError where they are structures of different kinds.
    """
    raise NotImplementedError
