"""When a guidance term acts: windows of the sampling schedule."""

from __future__ import annotations

from dataclasses import dataclass

from ..declare import setting
from ..diffusion.level import Level


@dataclass(frozen=True)
class PercentWindow:
    """A share of the full schedule, whatever the respacing; the end is exclusive."""

    start_percent: float = setting(
        0.0,
        "When the term begins: 0 is pure noise, 1 the finished picture.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    end_percent: float = setting(
        1.0, "When the term ends. A shorter window costs less time.", low=0.0, high=1.0, step=0.01
    )

    def active(self, level: Level) -> bool:
        """Whether the level lies between the two percentages."""
        return self.start_percent <= level.percent < self.end_percent


@dataclass(frozen=True)
class StepWindow:
    """Between two spaced steps, both exclusive, whatever part of the schedule they are."""

    after: int
    before: int

    def active(self, level: Level) -> bool:
        """Whether the level is of a step between the two."""
        return level.step is not None and self.after < level.step < self.before


Window = PercentWindow | StepWindow
ALWAYS = PercentWindow()
