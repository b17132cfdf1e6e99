"""A source's face laid over a target's: what an edit can start from in place of the target.

A denoiser that is given a little noise keeps what it sees (SDEdit, arXiv 2108.01073), so an edit
that starts from the target keeps its lines, and one that starts from the source's face has them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import blur, one_for_each, resize, signed
from .errors import require_no_faults
from .head import IRISES, RIGID_LANDMARKS
from .landmarks import CONTOURS, FaceLandmarker, locate_landmarks
from .records import require_points

COARSE = 0.08  # of a side: sigma of the blur of what counts as light and skin, not as the face
HEM = 0.016  # of a side: by how much what lies before a face is wider than it was parsed
STIFFNESS = 0.05  # of the plate that carries the source's face, see `thin_plate`
STRIP = 1 << 14  # places that the plate is asked for at a time
NARROWEST = 1e-3  # of a side: how far from their line the points of a face lie at least
COVERED = 1e-3  # of a mask, blurred: below it nothing is inside

FITTED = sorted({*RIGID_LANDMARKS, *IRISES, *(k for each in CONTOURS.values() for k in each)})
"""The landmarks by which faces are fitted: features, outline, and what expressions move least."""

Points = Tensor | None


def lay_face(
    source: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    landmarker: FaceLandmarker | None = None,
    source_points: Points = None,
    points: Points = None,
    before: Tensor | None = None,
) -> Tensor:
    """The targets with the sources' faces inside the mask, turned and coloured like the targets'.

    Args:
        source: (n,3,h,w) in [-1,1], aligned crops.
        target: (n,3,H,W) in [-1,1], aligned crops.
        mask: (n,1,H,W) in [0,1].
        landmarker: Finds the landmarks by which the faces are fitted, see `face_places`.
        source_points: (n,5,2) of the sources in their pixels, in the order of `POINTS`.
        points: (n,5,2) of the targets in theirs.
        before: (n,1,h,w) in [0,1] of the sources, 1 where something lies before their faces; there
            the targets stay.

    Returns:
        (n,3,H,W) in [-1,1]; outside the mask the targets.

    Raises:
        ValueError: The points are not five of each picture, a face's landmarks lie on a line or are
            no numbers, or what lies before the faces is of other pictures.

    Examples:
        >>> import torch
        >>> source, target = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
        >>> lay_face(source, target, torch.ones(1, 1, 8, 8)).unique()  # all colour, and no face
        tensor([1.])
    """
    size = (target.shape[2], target.shape[3])
    places = face_places(source, target, landmarker, source_points, points)
    shown = source if before is None else torch.cat([source, 1 - with_hem(before, source)], 1)
    laid = resize(shown, size)
    if places is not None:
        laid = warp_by(laid, *places)
    area = mask if before is None else mask * laid[:, 3:].clamp(0, 1)
    laid = laid[:, :3]
    sigma = COARSE * target.shape[3]
    colours = coarse_colours(target, area, sigma) - coarse_colours(laid, area, sigma)
    return target.lerp((laid + colours).clamp(-1, 1), area)


def with_hem(mask: Tensor, source: Tensor) -> Tensor:  # (n,1,h,w) in [0,1], (n,3,h,w)
    """A mask of the sources a little wider, and soft: the edge of hair is of hair and of skin."""
    if mask.shape != source[:, :1].shape:
        raise ValueError(
            f"what lies before the sources has shape {tuple(mask.shape)}, expected "
            f"{tuple(source[:, :1].shape)}: parse these sources"
        )
    width = max(1, round(HEM * mask.shape[3]))
    wide = F.max_pool2d(mask, 2 * width + 1, stride=1, padding=width)
    return blur(wide.to(source), width / 2)


def face_places(
    source: Tensor,
    target: Tensor,
    landmarker: FaceLandmarker | None,
    source_points: Points,
    points: Points,
) -> tuple[Tensor, Tensor] | None:
    """What lies where in the sources and in the targets, each (n,L,2) in shares of a side.

    Contours and irises, where there is a landmarker; else the five points, where both are known;
    else None: both were cut to one template.
    """
    for known, pictures in ((source_points, source), (points, target)):
        if known is not None:
            require_points(known, len(pictures))
    if landmarker is not None:
        source_points, points = (
            locate_landmarks(landmarker, picture, five)[0][:, FITTED, :2]
            for picture, five in ((source, source_points), (target, points))
        )
    if source_points is None or points is None:
        return None
    places, aims = in_shares(source_points, source), in_shares(points, target)
    require_no_faults(flat_faces(places), "source")
    require_no_faults(flat_faces(aims), "target")
    return places, aims


def flat_faces(places: Tensor) -> dict[int, str]:  # (n,L,2)
    """What is wrong with the rows whose points span no plane, by which no face can be fitted."""
    finite = places.isfinite().all(2, keepdim=True).all(1, keepdim=True)
    spread = torch.where(finite, places, 0).cpu().double()
    narrow = torch.linalg.svdvals(spread - spread.mean(1, keepdim=True))[:, 1] < NARROWEST
    fault = (
        "has landmarks on one line, or that are no numbers, expected a face's: correct the points, "
        "or start from the target"
    )
    return dict.fromkeys(narrow.nonzero().flatten().tolist(), fault)


def in_shares(points: Tensor, picture: Tensor) -> Tensor:  # (n,L,2) pixels, (n,3,H,W) -> (n,L,2)
    """Points in shares of a picture's sides."""
    return points.to(picture) / picture.new_tensor([picture.shape[3], picture.shape[2]])


def warp_by(x: Tensor, places: Tensor, aims: Tensor) -> Tensor:  # (n,C,H,W), (n,L,2), (n,L,2)
    """The pictures with what lies at `places`, in shares of a side, brought near to `aims`."""
    height, width = x.shape[2:]
    across, down = ((torch.arange(side).to(x) + 0.5) / side for side in (width, height))
    pixels = torch.stack(torch.meshgrid(across, down, indexing="xy"), 2).flatten(0, 1)
    found = thin_plate(aims, places, pixels.expand(len(x), -1, -1))
    grid = found.unflatten(1, (height, width)) * 2 - 1
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def thin_plate(
    points: Tensor, places: Tensor, at: Tensor, stiffness: float = STIFFNESS
) -> Tensor:  # (n,L,2), (n,L,2), (n,P,2) -> (n,P,2)
    """Where the smoothing thin-plate spline that brings points near their places takes others.

    Stiffness weighs the plate's bending against the points' distances to their places (Wahba,
    Spline Models for Observational Data, 1990, section 2.4; Bookstein, IEEE PAMI 11(6), 1989); the
    stiffest is the affine of least squares. On the CPU, in double precision, for the system is
    close to singular where landmarks are, and some devices have no doubles.
    """
    known, aim, asked = (each.cpu().double() for each in (points, places, at))
    count = known.shape[1]
    bent = _bending(known, known) + stiffness * torch.eye(count, dtype=known.dtype)
    plane = _with_one(known)
    system = torch.cat(
        [
            torch.cat([bent, plane], 2),
            torch.cat([plane.mT, plane.new_zeros(len(plane), 3, 3)], 2),
        ],
        1,
    )
    weights = torch.linalg.solve(system, F.pad(aim, (0, 0, 0, 3)))
    strips = (
        torch.cat([_bending(strip, known), _with_one(strip)], 2) @ weights
        for strip in asked.split(STRIP, 1)
    )
    return torch.cat(list(strips), 1).to(at)


def _bending(a: Tensor, b: Tensor) -> Tensor:  # (n,P,2), (n,L,2) -> (n,P,L)
    square = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
    return square * square.clamp(min=1e-12).log()


def _with_one(x: Tensor) -> Tensor:  # (n,P,2) -> (n,P,3)
    return F.pad(x, (0, 1), value=1.0)


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
    if start.shape[1:] != target.shape[1:]:
        (h, w), (height, width) = start.shape[2:], target.shape[2:]
        raise ValueError(
            f"start is {h}x{w}, the targets are {height}x{width}: give pictures of the targets' "
            "size; of photos with faces, starts of the aligned crops"
        )
    start = one_for_each(start, "starts", len(target))
    return torch.where(mask > 0, signed(start).to(target), target)
