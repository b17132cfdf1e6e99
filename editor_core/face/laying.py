"""A source's face laid over a target's: what an edit can start from in place of the target.

A denoiser that is given a little noise keeps what it sees (SDEdit, arXiv 2108.01073), so an edit
that starts from the target keeps its lines, and one that starts from the source's face has them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..images import blur, signed
from .head import RIGID_LANDMARKS
from .landmarks import FaceLandmarker, locate_landmarks
from .resampling import resampler

COARSE = 0.08  # of a side: sigma of the blur of what counts as light and skin, not as the face
COVERED = 1e-3  # of a mask, blurred: below it nothing is inside

Points = Tensor | None


def lay_face(
    source: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    landmarker: FaceLandmarker | None = None,
    source_points: Points = None,
    points: Points = None,
) -> Tensor:
    """The targets with the sources' faces inside the mask, turned and coloured like the targets'.

    Args:
        source: (n,3,h,w) in [-1,1], aligned crops.
        target: (n,3,H,W) in [-1,1], aligned crops.
        mask: (n,1,H,W) in [0,1].
        landmarker: Finds the landmarks by which the faces are fitted, see `fit_faces`.
        source_points: (n,5,2) of the sources in their pixels, in the order of `POINTS`.
        points: (n,5,2) of the targets in theirs.

    Returns:
        (n,3,H,W) in [-1,1]; outside the mask the targets.

    Examples:
        >>> import torch
        >>> source, target = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
        >>> lay_face(source, target, torch.ones(1, 1, 8, 8)).unique()  # all colour, and no face
        tensor([1.])
    """
    affine = fit_faces(source, target, landmarker, source_points, points)
    size, of = (target.shape[2], target.shape[3]), (source.shape[2], source.shape[3])
    laid = resampler(affine, size, of)(source)
    sigma = COARSE * target.shape[3]
    colours = coarse_colours(target, mask, sigma) - coarse_colours(laid, mask, sigma)
    return target.lerp((laid + colours).clamp(-1, 1), mask)


def fit_faces(
    source: Tensor,
    target: Tensor,
    landmarker: FaceLandmarker | None = None,
    source_points: Points = None,
    points: Points = None,
) -> Tensor:
    """The affine (n,2,3) from pixels of the targets to those of the sources.

    By the landmarks that expressions move least, where there is a landmarker; else by the five
    points, where both are known; else as the pictures are, for both were cut to one template.
    """
    if landmarker is not None:
        to, known = (
            locate_landmarks(landmarker, picture, five)[0][:, RIGID_LANDMARKS, :2]
            for picture, five in ((source, source_points), (target, points))
        )
        return affine_fit(known, to)
    if source_points is not None and points is not None:
        return affine_fit(points.to(target), source_points.to(target))
    scale = torch.tensor([source.shape[3] / target.shape[3], source.shape[2] / target.shape[2]])
    affine = torch.cat([scale.diag(), torch.zeros(2, 1)], 1).to(target)
    return affine.expand(len(target), -1, -1)


def affine_fit(points: Tensor, places: Tensor) -> Tensor:  # (n,L,2), (n,L,2) -> (n,2,3)
    """The affine that brings points nearest to their places, by least squares."""
    ones = points.new_ones(*points.shape[:2], 1)
    return torch.linalg.lstsq(torch.cat([points, ones], 2), places).solution.mT


def coarse_colours(x: Tensor, mask: Tensor, sigma: float) -> Tensor:  # (n,3,H,W), (n,1,H,W)
    """The colours of what is inside the mask, blurred with a deviation of `sigma` pixels."""
    return blur(x * mask, sigma) / blur(mask, sigma).clamp(min=COVERED)


def start_inside(start: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """What is noised: the start where the mask has any white, the targets elsewhere.

    Args:
        start: (n or 1,3,H,W) in [0,1].
        target: (n,3,H,W) in [-1,1].
        mask: (n,1,H,W) in [0,1].

    Raises:
        ValueError: The start is not of the targets' number or size.
    """
    if len(start) not in (1, len(target)) or start.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"start has shape {tuple(start.shape)}, targets {tuple(target.shape)}: give one "
            "picture of their size for all of them, or one for each"
        )
    return torch.where(mask > 0, signed(start).to(target), target)
