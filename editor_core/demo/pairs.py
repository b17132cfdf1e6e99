"""Source, target and true swap of people outside all training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..face.parsing import FACE_PARTS
from .people import Identity, Scene
from .portraits import Portrait, both_eyes_visible, draw

UNSEEN = 1 << 40  # seeds from here on; training draws from small ones


@dataclass(frozen=True)
class DrawnPairs:
    """n pairs with the correct answer to each."""

    source: Portrait
    target: Portrait
    truth: Portrait  # the target with the source's inner face

    def __len__(self) -> int:
        return len(self.source.image)

    @property
    def mask(self) -> torch.Tensor:  # (n,H,W)
        """1 where the target shows its face."""
        return torch.isin(self.target.labels, torch.tensor(FACE_PARTS)).float()

    def rows(self, index: slice) -> DrawnPairs:
        return DrawnPairs(*(portrait.rows(index) for portrait in vars(self).values()))


def draw_pairs(count: int, seed: int, size: int) -> DrawnPairs:
    """Draw `count` pairs, `size` pixels a side; pair k of seed s is pair 0 of seed s + k."""
    drawn = [draw_pair(seed + k, size) for k in range(count)]
    portraits = zip(*(vars(pair).values() for pair in drawn), strict=True)
    return DrawnPairs(*(Portrait.stack(one) for one in portraits))


def draw_pair(seed: int, size: int) -> DrawnPairs:
    """Draw one pair whose target shows both eyes."""
    generator = torch.Generator().manual_seed(UNSEEN + seed)
    while True:
        people, scenes = Identity.random(2, generator), Scene.random(2, generator)
        source, target = (draw(people.rows([k]), scenes.rows([k]), size) for k in (0, 1))
        if both_eyes_visible(target.labels).all():
            swapped = people.rows([1]).with_inner_face(people.rows([0]).inner)
            return DrawnPairs(source, target, draw(swapped, scenes.rows([1]), size))
