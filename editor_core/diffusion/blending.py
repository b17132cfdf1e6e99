"""Holding the background: the noised target around the edit at every step, the target at the end.

After Blended Diffusion (arXiv 2111.14818, Algorithm 1); the mask's growth over time is DiffFace's
(arXiv 2212.13344).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .noise import Normal
from .process import GaussianDiffusion
from .sampling import batch_index


@dataclass(frozen=True)
class LinearRamp:
    """Grows from 0 at `start_percent` to 1 at `end_percent` of the full schedule.

    A step's weight is that of the level it reaches, so the first step already counts.
    """

    start_percent: float
    end_percent: float

    def weight(self, percent: float) -> float:
        """How much of the mask counts after a step that reached that part of the schedule."""
        length = self.end_percent - self.start_percent
        reached = percent - self.start_percent
        return 1.0 if reached >= length else reached / length


@dataclass(frozen=True, eq=False)
class NoisedBackground:
    """Puts the target, noised to the level of the sample, outside the ramped mask.

    Without `after_ramp` the sample is left alone once the whole mask counts, so that the picture
    may settle around the edit.
    """

    target: Tensor  # (B,3,H,W) in [-1,1]
    mask: Tensor  # (B,1,H,W) in [0,1], 1 inside the edit
    diffusion: GaussianDiffusion
    ramp: LinearRamp
    after_ramp: bool = True

    def __call__(self, sample: Normal, t: int) -> Normal:
        """Blend the sample to which the step at index t leads."""
        weight = self.ramp.weight(self.diffusion.percent(t - 1))
        if weight == 1 and not self.after_ramp:
            return sample
        if t == 0:
            background = Normal.known(self.target)
        else:
            background = self.diffusion.marginal(self.target, batch_index(t - 1, self.target))
        return sample.over(background, self.mask * weight)


def composite(target: Tensor, edit: Tensor, mask: Tensor) -> Tensor:
    """The edit inside the mask on the target, whose pixels stay bit-identical where the mask is 0.

    target, edit (B,3,H,W), mask (B,1,H,W) in [0,1] -> (B,3,H,W).
    """
    return torch.where(mask == 0, target, edit * mask + target * (1 - mask))
