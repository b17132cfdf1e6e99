"""Drawn people who look where they are told, and a judge of gaze that is no network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...editor_core.demo.pairs import UNSEEN
from ...editor_core.demo.people import Identity, Scene
from ...editor_core.demo.portraits import Portrait, both_eyes_visible, draw
from ...editor_core.face.gaze import Gaze
from ...editor_core.face.parsing import FacePart

PITCHES, YAWS = range(-24, 25, 4), range(-28, 29, 4)  # degrees, of the pictures to compare with


@dataclass(frozen=True)
class DrawnPeople:
    """n people outside all training, each in a scene in which both eyes show."""

    identity: Identity
    scene: Scene
    size: int

    def __len__(self) -> int:
        return len(self.identity)

    def draw(self) -> Portrait:
        """As they look by themselves."""
        return draw(self.identity, self.scene, self.size)

    def looking(self, pitch: Tensor, yaw: Tensor) -> Portrait:  # (n,), (n,) degrees
        """The same pictures with another gaze: what an edit should be."""
        angles = {"gaze_pitch": pitch, "gaze_yaw": yaw}
        columns = {}
        for name, degrees in angles.items():
            low, high = Scene.RANGES[name]
            columns[name] = (degrees - low) / (high - low)
        return draw(self.identity, self.scene.with_(**columns), self.size)

    def repeated(self, row: int, count: int) -> DrawnPeople:
        """One of them, over and over."""
        rows = [row] * count
        return DrawnPeople(self.identity.rows(rows), self.scene.rows(rows), self.size)


def draw_people(count: int, seed: int, size: int) -> DrawnPeople:
    """Person k of seed s is person 0 of a later seed, whoever else is drawn."""
    people, scenes = [], []
    while len(people) < count:
        generator = torch.Generator().manual_seed(UNSEEN + seed)
        person, scene = Identity.random(1, generator), Scene.random(1, generator)
        if both_eyes_visible(draw(person, scene, size).labels).all():
            people.append(person)
            scenes.append(scene)
        seed += 1
    return DrawnPeople(Identity.stack(people), Scene.stack(scenes), size)


@dataclass(frozen=True)
class DrawnGazeJudge:
    """Reads a gaze by drawing: which of the true pictures are these eyes most like?

    The very person is drawn in the very scene with every gaze of a grid. The least squared
    difference inside the eyes decides, between the steps of the grid by a parabola.
    """

    tables: list[tuple[Tensor, Tensor]]  # of each person: pictures (P x Y,H,W,3), eyes (H,W)

    @classmethod
    def of(cls, people: DrawnPeople) -> DrawnGazeJudge:
        """Draw what the pictures of these people are compared with."""
        grid = torch.cartesian_prod(torch.tensor(PITCHES), torch.tensor(YAWS)).float()
        tables = []
        for row in range(len(people)):
            drawn = people.repeated(row, len(grid)).looking(*grid.unbind(1))
            eyes = torch.tensor([FacePart.L_EYE, FacePart.R_EYE])
            tables.append((drawn.image, torch.isin(drawn.labels[0], eyes)))
        return cls(tables)

    def read(self, image: Tensor) -> Gaze:  # (n,H,W,3)
        """The gaze of a picture of each person, the same for both eyes."""
        rows = zip(image, self.tables, strict=True)
        found = [
            nearest((drawn - row)[:, eyes].square().sum((1, 2))) for row, (drawn, eyes) in rows
        ]
        return Gaze(*torch.deg2rad(torch.tensor(found)).unbind(1))


def nearest(difference: Tensor) -> tuple[float, float]:  # (P x Y,)
    """Pitch and yaw in degrees of the least difference."""
    grid = difference.view(len(PITCHES), len(YAWS))
    row, column = divmod(int(grid.argmin()), len(YAWS))
    pitch = PITCHES[row] + PITCHES.step * vertex(grid[:, column], row)
    return pitch, YAWS[column] + YAWS.step * vertex(grid[row], column)


def vertex(values: Tensor, at: int) -> float:
    """Where the parabola through the least value and its neighbours is lowest, from there."""
    if at in (0, len(values) - 1):
        return 0.0
    before, least, after = values[at - 1 : at + 2].tolist()
    bend = before - 2 * least + after
    return 0.5 * (before - after) / bend if bend > 0 else 0.0
