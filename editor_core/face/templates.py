"""How the pictures that a model learned from were cut out of photos, a template a family."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .records import Faces

Point = tuple[float, float]


class Template(Protocol):
    """Where a face lies in a model's pictures."""

    def affine(self, faces: Faces) -> Tensor:  # -> (n,2,3)
        """From the photo to the crop, whose sides run from 0 to 1."""
        ...


@dataclass(frozen=True)
class FivePoints:
    """The similarity that takes a face's five points nearest to given places, in the crop's side.

    Least squares after Umeyama, IEEE PAMI 13(4), 1991.
    """

    places: Sequence[Point]

    def affine(self, faces: Faces) -> Tensor:
        return similarity(faces.points, torch.tensor(self.places))


@dataclass(frozen=True)
class EyesAndMouth:
    """The square around eyes and mouth that FFHQ and CelebA-HQ are cut to (arXiv 1812.04948).

    Half its side is the larger of `eyes` times the distance between the eyes and `mouth` times that
    from the eyes to the mouth; its centre lies `down` of the latter under the eyes.
    """

    eyes: float = 2.0
    mouth: float = 1.8
    down: float = 0.1

    def affine(self, faces: Faces) -> Tensor:
        left, right = faces.points[:, 0], faces.points[:, 1]
        between, middle = right - left, (left + right) / 2
        to_mouth = faces.points[:, 3:].mean(1) - middle
        across = between - quarter_turn(to_mouth)
        reach = torch.maximum(between.norm(dim=1) * self.eyes, to_mouth.norm(dim=1) * self.mouth)
        along = across / across.norm(dim=1, keepdim=True).clamp(min=1e-9)
        return square_affine(middle + self.down * to_mouth, along, reach)


@dataclass(frozen=True)
class WholeBox:
    """The upright square around the box: for pictures that are aligned already."""

    def affine(self, faces: Faces) -> Tensor:
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

    In the plane Umeyama's solution is one complex factor; no point is ever mirrored.
    """
    middle, aim = points.mean(1, keepdim=True), places.mean(0)
    p, q = points - middle, places - aim
    spread = p.square().sum((1, 2)).clamp(min=1e-9)
    real = (p * q).sum((1, 2)) / spread
    imaginary = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    turn = torch.stack([real, -imaginary, imaginary, real], 1).unflatten(1, (2, 2))
    return torch.cat([turn, aim[:, None] - turn @ middle.mT], 2)


TEMPLATES: dict[str, Template] = {
    "ffhq": EyesAndMouth(),
    "arcface": FivePoints(
        (
            (38.2946 / 112, 51.6963 / 112),
            (73.5318 / 112, 51.5014 / 112),
            (56.0252 / 112, 71.7366 / 112),
            (41.5493 / 112, 92.3655 / 112),
            (70.7299 / 112, 92.2041 / 112),
        )
    ),
    "demo": FivePoints(  # the drawn world's own
        ((0.376, 0.491), (0.624, 0.491), (0.5, 0.646), (0.415, 0.737), (0.585, 0.737))
    ),
    "whole box": WholeBox(),
}


def template_named(name: str) -> Template:
    """One of `TEMPLATES`."""
    if name not in TEMPLATES:
        raise ValueError(f'template is "{name}", expected one of: {", ".join(TEMPLATES)}')
    return TEMPLATES[name]
