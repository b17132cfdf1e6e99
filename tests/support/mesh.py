"""A head of 478 points, and a network that truly finds it in a picture of three coloured spots."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ...editor_core.face.head import RIGID
from ...editor_core.face.landmarks import CONTOURS
from ...editor_core.face.resampling import transform
from ...editor_core.face.templates import similarity
from ...editor_core.models.blendshapes import Blendshapes

MORE = {  # of MediaPipe's canonical face, in cm: x, y up, z forwards
    1: (0.0, -1.126865, 7.475604),
    61: (-2.456206, -4.342621, 4.283884),
    291: (2.456206, -4.342621, 4.283884),
    468: (-3.18175, 2.635786, 3.826339),
    473: (3.18175, 2.635786, 3.826339),
}
SPOTS = ((33, 133), (362, 263), (61, 291))  # red, green and blue lie between these points
CELLS = 6  # along a picture's side, whose means a `WarpedMesh` reads
RED_GREEN_BLUE = 2.0  # cm, the deviation of a spot


def head_points() -> Tensor:  # -> (478,3)
    """A head that looks at the camera, in cm: x to the right, y down, z away."""
    angle = torch.arange(478) * 2.4
    height = torch.linspace(-8.5, 8.5, 478)
    width = (1 - (height / 9.5).square()).sqrt() * 7.5
    points = torch.stack([width * angle.sin(), height, -width * angle.cos().abs()], 1)
    for number, *place in [(row[0], *row[2:]) for row in RIGID]:
        points[number] = torch.tensor(place)
    for number, place in MORE.items():
        points[number] = torch.tensor(place)
    for step, number in enumerate(CONTOURS["face oval"]):
        turn = 2 * math.pi * step / len(CONTOURS["face oval"])
        points[number] = torch.tensor([7.5 * math.sin(turn), -0.5 + 9 * math.cos(turn), 0.0])
    upwards = torch.tensor([*[row[0] for row in RIGID], *MORE, *CONTOURS["face oval"]]).unique()
    points[upwards] *= torch.tensor([1.0, -1.0, -1.0])
    for number, *place in [(row[0], *row[2:]) for row in RIGID]:  # some are on the oval too
        points[number] = torch.tensor(place) * torch.tensor([1.0, -1.0, -1.0])
    return points


def spots_of(points: Tensor) -> Tensor:  # (...,478,2 or 3) -> (...,3,2)
    pairs = [points[..., list(pair), :2].mean(-2) for pair in SPOTS]
    return torch.stack(pairs, -2)


def spot_picture(points: Tensor, size: tuple[int, int], cm: float) -> Tensor:  # -> (1,3,H,W)
    """The spots of a head whose points (478,2 or 3) are in pixels, `cm` of them a cm; in [-1,1]."""
    y, x = (torch.arange(length) + 0.5 for length in size)
    away = [(x - px).square() + (y[:, None] - py).square() for px, py in spots_of(points).tolist()]
    spread = RED_GREEN_BLUE * cm / 2
    return torch.stack(away)[None].div(-2 * spread**2).exp() * 2 - 1


class SpotMesh(nn.Module):
    """Finds the middles of the spots, and puts the head where they are."""

    blendshapes = None

    def __init__(self) -> None:
        super().__init__()
        self.depth = nn.Parameter(torch.ones(()))
        self.register_buffer("head", head_points())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,S,S) in [0,1] -> the points (B,478,3) in pixels, and whether any are there (B,)"""
        steps = torch.arange(x.shape[3], device=x.device, dtype=x.dtype) + 0.5
        weight = x.clamp(min=0) ** 3  # the tails, which the edge cuts off, hardly count
        total = weight.sum((2, 3)).clamp(min=1e-6)
        across, down = ((weight.sum(axis) @ steps) / total for axis in (2, 3))
        found = torch.stack([across, down], 2)
        head = self.head.to(x)
        to_picture = torch.cat([similarity(spots_of(head)[None], row) for row in found])
        scale = to_picture[:, :, :2].det().abs().sqrt()[:, None, None]
        places = transform(to_picture, head[None, :, :2].expand(len(x), -1, -1))
        depth = self.depth.to(x) * scale * head[None, :, 2:]
        presence = (total.amin(1) > 1).to(x)
        return torch.cat([places, depth.expand(len(x), -1, 1)], 2), presence


class WarpedMesh(nn.Module):
    """A head in the middle whose points every part of the picture moves, with blendshapes."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.weight = nn.Parameter(torch.randn(3 * CELLS**2, 478 * 3, generator=generator) * 0.05)
        self.register_buffer("head", head_points())
        self.blendshapes = Blendshapes()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,S,S) in [0,1] -> the points (B,478,3) in pixels, and that they are a face's (B,)"""
        cells = adaptive_avg_pool2d(x, CELLS).flatten(1)
        moved = self.head + (cells @ self.weight).tanh().unflatten(1, (478, 3))
        return (moved / 25 + 0.5) * x.shape[3], torch.ones_like(cells[:, 0])
