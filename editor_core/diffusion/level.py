"""How noisy a picture is, whatever schedule, table or parametrisation made it so."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """The noise of x_t = signal (x_0 + ratio epsilon), and how far along its schedule it lies.

    A table of alphas_cumprod a has signal sqrt(a) and ratio sqrt(1/a - 1); a model of k-diffusion
    has signal 1 and ratio sigma; a rectified flow (arXiv 2209.03003) has signal 1 - sigma and ratio
    sigma / (1 - sigma).

    Examples:
        >>> from guided_face_edit.editor_core.diffusion.level import Level
        >>> half = Level(signal=0.5, ratio=1.0, percent=0.5)
        >>> half.kept, half.reach
        (0.5, 0.5)
    """

    signal: float
    ratio: float  # deviation of the noise, in those of x_0
    percent: float  # 0 at pure noise, 1 for the finished picture
    step: int | None = None  # its index, where it is of a table of spaced steps

    @property
    def kept(self) -> float:
        """The share of variance that is x_0's, where x_0 has variance 1: alphas_cumprod."""
        return 1 / (1 + self.ratio**2)

    @property
    def noise(self) -> float:
        """The deviation that is noise, where the whole has 1: sqrt(1 - alphas_cumprod)."""
        return self.ratio / math.hypot(1, self.ratio)

    @property
    def reach(self) -> float:
        """How far a gradient of length 1 at x_t moves pred_x0 in DDIM (arXiv 2105.05233)."""
        return self.ratio**2 * self.signal

    @property
    def slope(self) -> float:
        """Of pred_x0 along x_t where the data are Gaussian of unit variance."""
        return self.kept / self.signal
