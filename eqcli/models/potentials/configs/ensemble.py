"""Hyper-parameters of an ensemble of potentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eqcli.models.potentials.configs.mace import MACEConfig

if TYPE_CHECKING:
    from eqcli.models.potentials.config import Backbone


def _default() -> Any:
    return (MACEConfig(), MACEConfig())


class EnsembleConfig(BaseModel):
    """Several potentials as one: their mean, and their spread as its uncertainty (Lakshminarayanan et al., 2017)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["ensemble"] = "ensemble"
    members: tuple[Backbone, ...] = Field(
        default_factory=_default, min_length=2, description="The potentials, each with all its own options."
    )

    @property
    def cutoff(self) -> float:
        """The largest of the members', Å."""
        return max(member.cutoff for member in self.members)

    @property
    def energy(self) -> bool:
        """Whether all members give an energy."""
        return all(member.energy for member in self.members)

    @property
    def heads(self) -> dict[str, Any]:
        """Further properties that all members give, by name."""
        first, *others = self.members
        return {name: head for name, head in first.heads.items() if all(m.heads.get(name) == head for m in others)}
