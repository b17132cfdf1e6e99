"""A small CLIP of the drawn world, and a judge of other build that guidance never uses.

Both learn from drawn portraits within minutes and are not kept: real CLIPs are for real faces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...editor_core.demo.people import Identity, Scene
from ...editor_core.demo.portraits import draw
from ...editor_core.face.clip import ClipEncoder
from ...editor_core.images import imagenet_normalise, resize
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ..evaluate.networks import Judge, JudgeConfig
from ..train.dataset import CHUNK, as_bytes, from_bytes
from ..train.learning import Course, Lesson, learn
from ..train.lessons import degrade

SIZE = 64  # pixels of a portrait
PORTRAITS = 4096
TOWER = IResNetConfig((1, 1, 1, 1), (12, 16, 24, 32), embedding=32, input_size=32)
JUDGE = JudgeConfig(widths=(12, 16, 24, 32), embedding=2, input_size=SIZE)
COURSE = Course((500,), 32, 3e-3)
SHARPNESS = 8.0  # of cosines as logits
Reader = Callable[[Tensor], Tensor]
"""Pictures (B,3,S,S) in [-1,1] -> (B,2): above 0 where there is a beard, and blond hair."""

CAPTIONS: Mapping[str, tuple[int, bool]] = {  # which attribute, and whether it is there
    "a face with a beard": (0, True),
    "a bearded face": (0, True),
    "a face without a beard": (0, False),
    "a clean shaven face": (0, False),
    "a face with blond hair": (1, True),
    "a blond head of hair": (1, True),
    "a face with dark hair": (1, False),
    "a dark head of hair": (1, False),
}
WORDS = sorted({word for caption in CAPTIONS for word in caption.split()})


def attributes(people: Identity) -> Tensor:  # (B,2) of beard and blond hair: 1, 0, or NaN between
    """What is true of drawn people; captions say nothing of what lies between."""
    beard, hair = people.inner["stubble"], people.outer["hair_lightness"]
    return torch.stack([_side(beard, 0.0, 0.5), _side(hair, 0.4, 0.7)], 1)


def _side(values: Tensor, low: float, high: float) -> Tensor:
    return torch.where(values > high, 1.0, torch.where(values < low, 0.0, torch.nan))


@dataclass(frozen=True)
class LabelledPortraits:
    """Drawn portraits with their attributes."""

    image: Tensor  # (N,3,S,S) uint8
    truth: Tensor  # (N,2)

    def __len__(self) -> int:
        return len(self.image)

    def picture(self, rows: Tensor) -> Tensor:  # (B,3,S,S) in [-1,1]
        return from_bytes(self.image[rows])


def draw_labelled(count: int, seed: int) -> LabelledPortraits:
    """Draw people in scenes of their own."""
    generator = torch.Generator().manual_seed(seed)
    images, truths = [], []
    for first in range(0, count, CHUNK):
        here = min(CHUNK, count - first)
        people, scene = Identity.random(here, generator), Scene.random(here, generator)
        images.append(as_bytes(draw(people, scene, SIZE).image))
        truths.append(attributes(people))
    return LabelledPortraits(torch.cat(images), torch.cat(truths))


class Towers(nn.Module):
    """Pictures by a residual network, texts as the sum of their words."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = IResNet(TOWER)
        self.words = nn.EmbeddingBag(len(WORDS), 64, mode="sum")
        self.texts = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, TOWER.embedding))

    def forward(self, x: Tensor) -> Tensor:  # (B,3,S,S), normalised -> (B,E)
        return self.pictures(x)

    def embed_words(self, texts: Sequence[str]) -> Tensor:  # k texts -> (k,E)
        numbers = [torch.tensor([WORDS.index(word) for word in text.split()]) for text in texts]
        return torch.cat([self.texts(self.words(each[None])) for each in numbers])


class CaptionLesson(Lesson):
    """Whether each caption is true of each picture, by their cosine (SigLIP, arXiv 2303.15343)."""

    def __init__(self, network: Towers) -> None:
        super().__init__(network)
        self.towers = network

    def forward(self, data: LabelledPortraits, rows: Tensor, generator: torch.Generator) -> Tensor:
        seen = resize(degrade(data.picture(rows), generator), TOWER.input_size)
        pictures = self.towers(imagenet_normalise(seen))
        texts = self.towers.embed_words(list(CAPTIONS))
        cosine = F.normalize(pictures, dim=1) @ F.normalize(texts, dim=1).T
        kinds = torch.tensor([kind for kind, _ in CAPTIONS.values()])
        there = torch.tensor([float(there) for _, there in CAPTIONS.values()])
        truth = data.truth[rows][:, kinds]
        return known_entropy(SHARPNESS * cosine, 1 - (truth - there).abs())


class JudgeLesson(Lesson):
    """Whether each attribute is there."""

    def forward(self, data: LabelledPortraits, rows: Tensor, generator: torch.Generator) -> Tensor:
        x = imagenet_normalise(degrade(data.picture(rows), generator))
        return known_entropy(self.network(x), data.truth[rows])


def known_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy where the truth is known."""
    known = truth.isfinite()
    return F.binary_cross_entropy_with_logits(logits[known], truth[known])


def train_networks(work: Path) -> tuple[ClipEncoder, Reader]:
    """The small CLIP and its judge, each of people of its own; both resume from `work`."""
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    lessons = CaptionLesson(Towers()), JudgeLesson(Judge(JUDGE))
    towers, judge = (
        learn(lesson, COURSE, draw_labelled(PORTRAITS, seed), work / f"{name}.pt", seed)
        for seed, (name, lesson) in enumerate(zip(("towers", "judge"), lessons, strict=True))
    )
    words = cast(Towers, towers).embed_words
    clip = ClipEncoder(towers, words, TOWER.input_size, imagenet_normalise)
    return clip, lambda x: judge(imagenet_normalise(x))
