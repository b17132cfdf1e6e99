"""Photos of several drawn people, turned and scaled, in one or more frames, with known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from ..face.aligning import Box
from ..face.finding import box_around
from ..face.records import Faces, Size, make_faces
from ..face.resampling import invert, offset_input, sample_points, transform
from .canvas import Canvas
from .landmarks import five_points
from .pairs import UNSEEN
from .people import Identity, InnerFace, Scene
from .portraits import Portrait, both_eyes_visible, draw, draw_background, draw_person

TURN = 0.35  # radians that a person may lean
REACH = 1.3  # of a portrait's half side: hair and shoulders lie within
SWAY = 0.12  # of a portrait's half side that people move within a clip


@dataclass(frozen=True)
class Group:
    """People in a photo; `place` takes the coordinates of a portrait, -1 to 1, to its pixels."""

    identity: Identity
    scene: Scene
    place: Tensor  # (n,2,3)

    def __len__(self) -> int:
        return len(self.identity)

    def with_inner_face(self, inner: InnerFace) -> Group:
        """The true swap: these people with somebody else's inner faces."""
        return replace(self, identity=self.identity.with_inner_face(inner))

    @property
    def points(self) -> Tensor:  # (n,5,2)
        """The five points of every face, in pixels of the photo."""
        return transform(self.place, five_points(self.identity, self.scene))


@dataclass(frozen=True)
class GroupPhotos:
    """Drawn frames and what is true of them."""

    image: Tensor  # (frames,H,W,3) in [0,1]
    labels: Tensor  # (frames,H,W) int64, CelebAMask-HQ classes
    faces: Faces


def draw_group(group: Group, size: Size) -> tuple[Tensor, Tensor]:
    """A photo (H,W,3) in [0,1] and its labels (H,W); each person stands before the last one."""
    scene = group.scene.rows([0])
    backdrop = Canvas.over(scene, size)
    draw_background(backdrop, scene)
    image, labels = (backdrop.image * backdrop.light).clamp(0, 1), torch.zeros(size).long()
    for k in range(len(group)):
        x0, y0, x1, y1 = box = bounds(group.place[k], size)
        canvas = placed_canvas(group.scene.rows([k]), group.place[[k]], box)
        canvas.image = image[:, :, y0:y1, x0:x1] / canvas.light
        draw_person(canvas, group.identity.rows([k]), group.scene.rows([k]))
        image[:, :, y0:y1, x0:x1] = (canvas.image * canvas.light).clamp(0, 1)
        drawn = canvas.labels[0]
        labels[y0:y1, x0:x1] = torch.where(drawn > 0, drawn, labels[y0:y1, x0:x1])
    return image[0].permute(1, 2, 0).contiguous(), labels


def placed_canvas(scene: Scene, place: Tensor, box: Box) -> Canvas:
    """The part of a photo that the box cuts out, in the coordinates of a portrait."""
    x0, y0, x1, y1 = box
    to_portrait = invert(place)
    at = sample_points(offset_input(to_portrait, (x0, y0)), (y1 - y0, x1 - x0), 1)
    return Canvas(scene, at[..., 0], at[..., 1], to_portrait[0, :, :2].det().sqrt().item())


def bounds(place: Tensor, size: Size) -> Box:  # (2,3)
    """The pixels that a person may cover: all around the portrait, and down to the photo's end."""
    corners = place.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * REACH
    points = transform(place[None], corners[None])[0]
    left, top = points.amin(0).floor().clamp(min=0).long().tolist()
    return left, top, min(size[1], int(points[:, 0].amax().ceil())), size[0]


def draw_group_photos(seed: int, people: int, frames: int, size: Size) -> GroupPhotos:
    """People outside all training, side by side; in further frames they move.

    Args:
        seed: Of the people and of their places.
        people: How many of them.
        frames: How many pictures of them.
        size: Height and width in pixels.
    """
    groups = random_groups(seed, people, frames, size)
    points = torch.cat([group.points for group in groups])
    frame = [k for k in range(frames) for _ in range(people)]
    faces = make_faces(frame, box_around(points), points, size, frames)
    drawn = zip(*(draw_group(group, size) for group in groups), strict=True)
    image, labels = map(torch.stack, drawn)
    return GroupPhotos(image, labels, faces)


def draw_references(seed: int, people: int, known: Sequence[int]) -> Tensor:
    """Other pictures (len(known),64,64,3) of some of these people, each aligned and alone."""
    if not known or not set(known) <= set(range(people)):
        raise ValueError(f"known are {list(known)}, expected some of 0 to {people - 1}")
    generator = Generator().manual_seed(UNSEEN + seed)
    identity = random_group(people, (1, people), generator).identity
    portraits = [random_scene(identity.rows([k]), generator)[1].image for k in range(people)]
    return torch.cat([portraits[k] for k in known])


def random_groups(seed: int, people: int, frames: int, size: Size) -> list[Group]:
    """The same people in every frame, on their way from one pose to another."""
    generator = Generator().manual_seed(UNSEEN + seed)
    first = random_group(people, size, generator)
    last, groups = move_group(first, generator), []
    for k in range(frames):
        share = k / max(1, frames - 1)
        values = torch.lerp(first.scene.values, last.scene.values, share)
        place = torch.lerp(first.place, last.place, share)
        groups.append(Group(first.identity, Scene(values), place))
    return groups


def random_group(people: int, size: Size, generator: Generator) -> Group:
    """People in a row, each leaning a little, all showing both eyes."""
    identities, scenes = [], []
    for _ in range(people):
        identities.append(Identity.random(1, generator))
        scenes.append(random_scene(identities[-1], generator)[0])
    column = size[1] / people
    smaller, angle, height = (torch.rand(people, generator=generator) for _ in range(3))
    half = min(column * 0.65, size[0] * 0.45) * (1 - 0.25 * smaller)
    x, y = (torch.arange(people) + 0.5) * column, size[0] * (0.5 + 0.2 * height)
    angle = TURN * (2 * angle - 1)
    along, across = half * angle.cos(), half * angle.sin()
    place = torch.stack([along, -across, x, across, along, y], 1).unflatten(1, (2, 3))
    return Group(Identity.stack(identities), Scene.stack(scenes), place)


def random_scene(identity: Identity, generator: Generator) -> tuple[Scene, Portrait]:
    """A scene in which both eyes of one person are seen, and the portrait."""
    while True:
        scene = Scene.random(1, generator)
        portrait = draw(identity, scene)
        if both_eyes_visible(portrait.labels).all():
            return scene, portrait


def move_group(group: Group, generator: Generator) -> Group:
    """The same people in the same clothes and light, elsewhere and looking elsewhere."""
    other = Scene.random(len(group), generator)
    pose = {name: other.column(name) for name in ("yaw", "pitch", "gaze_yaw", "gaze_pitch")}
    sway = SWAY * group.place[:, 0, :2].norm(dim=1)[:, None]
    shift = sway * (2 * torch.rand(len(group), 2, generator=generator) - 1)
    place = torch.cat([group.place[:, :, :2], group.place[:, :, 2:] + shift[..., None]], 2)
    return replace(group, scene=group.scene.with_(**pose), place=place)
