"""Whether the motion of a pair is believed, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eqcli.errors import ExitCode, Failure
from eqcli.tasks.register_words import NONE_RELIABLE


class Believable(Protocol):
    """What a registration ends with."""

    @property
    def reliable(self) -> bool: ...


class Named(Protocol):
    """A source or a target."""

    @property
    def name(self) -> str: ...


class Verdict:
    """The result of a pair; a dataclass that is one has these fields.

    Attributes
    ----------
    registered
        The motion and what speaks for it.
    source, target
        What was laid onto what.
    """

    registered: Believable
    source: Named
    target: Named

    @property
    def reliable(self) -> bool:
        """Whether the motion is believed."""
        return self.registered.reliable

    @property
    def reasons(self) -> Sequence[str]:
        """Why it is not."""
        raise NotImplementedError

    @property
    def exit_code(self) -> ExitCode:
        """OK, or PARTIAL where there is no reliable alignment."""
        return ExitCode.OK if self.reliable else ExitCode.PARTIAL

    @property
    def failures(self) -> list[Failure]:
        """The pair itself, where there is no reliable alignment."""
        if self.reliable:
            return []
        reason = "; ".join(self.reasons)
        return [Failure(f"{self.source.name} onto {self.target.name}", f"{NONE_RELIABLE}: {reason}")]
