"""How the pictures that a model learned from were cut out of photos, a template a family."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .records import Faces

Template = Callable[[Faces], Tensor]
"""Faces -> (n,2,3): from the photo to the crop, whose sides run from 0 to 1."""

ARCFACE_POINTS = (  # places of the five points in a crop of 112 x 112
    *((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366)),
    *((41.5493, 92.3655), (70.7299, 92.2041)),
)
DEMO_POINTS = ((0.376, 0.491), (0.624, 0.491), (0.5, 0.646), (0.415, 0.737), (0.585, 0.737))


def five_points_at(places: Sequence[tuple[float, float]]) -> Template:
    """The similarity that takes a face's five points nearest to places, in the crop's side."""
    return lambda faces: similarity(faces.points, torch.tensor(places))


def eyes_and_mouth(faces: Faces) -> Tensor:
    """The square around eyes and mouth that FFHQ and CelebA-HQ are cut to (arXiv 1812.04948).

    Half its side is the larger of 2 times the distance between the eyes and 1.8 times that from the
    eyes to the mouth; its centre lies 0.1 of the latter under the eyes.
    """
    left, right = faces.points[:, 0], faces.points[:, 1]
    between, middle = right - left, (left + right) / 2
    to_mouth = faces.points[:, 3:].mean(1) - middle
    across = between - quarter_turn(to_mouth)
    reach = torch.maximum(between.norm(dim=1) * 2.0, to_mouth.norm(dim=1) * 1.8)
    along = across / across.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return square_affine(middle + 0.1 * to_mouth, along, reach)


def whole_box(faces: Faces) -> Tensor:
    """The upright square around the box: for pictures that are aligned already."""
    half = (faces.box[:, 2:] - faces.box[:, :2]).amax(1) / 2
    return square_affine(faces.centre, half.new_tensor([[1.0, 0.0]]).expand(len(half), 2), half)


def square_affine(centre: Tensor, along: Tensor, half: Tensor) -> Tensor:  # (n,2), (n,2), (n,)
    """Squares of half side `half`, whose upper edge runs `along`, to the unit square."""
    turn = torch.stack([along, quarter_turn(along)], 1) / (2 * half.clamp(min=1e-6))[:, None, None]
    return torch.cat([turn, 0.5 - turn @ centre[..., None]], 2)


def quarter_turn(v: Tensor) -> Tensor:  # (n,2) -> (n,2)
    """Vectors turned from x towards y."""
    return torch.stack([-v[:, 1], v[:, 0]], 1)


def similarity(points: Tensor, places: Tensor) -> Tensor:  # (n,L,2), (L,2) -> (n,2,3)
    """The turn, scale and shift that bring points nearest to their places, by least squares.

    In the plane the solution of Umeyama, IEEE PAMI 13(4), 1991, is one complex factor; no point is
    ever mirrored.
    """
    middle, aim = points.mean(1, keepdim=True), places.mean(0)
    p, q = points - middle, places - aim
    spread = p.square().sum((1, 2)).clamp(min=1e-9)
    real = (p * q).sum((1, 2)) / spread
    imaginary = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    turn = torch.stack([real, -imaginary, imaginary, real], 1).unflatten(1, (2, 2))
    return torch.cat([turn, aim[:, None] - turn @ middle.mT], 2)


TEMPLATES: dict[str, Template] = {
    "ffhq": eyes_and_mouth,
    "arcface": five_points_at([(x / 112, y / 112) for x, y in ARCFACE_POINTS]),
    "demo": five_points_at(DEMO_POINTS),  # the drawn world's own
    "whole box": whole_box,
}


def template_named(name: str) -> Template:
    """One of `TEMPLATES`."""
    return TEMPLATES[require_template(name)]


def require_template(name: str) -> str:
    """The name of one of `TEMPLATES`; `ValueError` for any other."""
    if name not in TEMPLATES:
        raise ValueError(f'template is "{name}", expected one of: {", ".join(TEMPLATES)}')
    return name
