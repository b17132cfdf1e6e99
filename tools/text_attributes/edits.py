"""Wishes in words, and the edits that are asked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ...editor_core.cli.output import progress_on
from ...editor_core.demo.models import load_demo_models
from ...editor_core.demo.pairs import DrawnPairs, draw_pairs
from ...editor_core.editing import edit_face
from ...editor_core.face.clip import ClipEncoder, TextWish, text_directions
from ...editor_core.face.identity import IdentityEncoder
from ...editor_core.face.parsing import FACE_PARTS, FacePart
from ...editor_core.guidance.terms import TermSettings
from ...editor_core.loading.models import FaceModels
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from ..evaluate.networks import load_judge
from .networks import SIZE, Reader

PRESET = "demo"
CHEAP: Mapping[str, Any] = {"candidates": 1, "gradient": "estimate", "respacing": "14", "skip": 1}
HEAD = (*FACE_PARTS, FacePart.HAIR)
NO_WISH = "no wish"


@dataclass(frozen=True)
class Wish:
    """What is asked, and how it is judged."""

    prompt: str
    negative_prompt: str
    attribute: int  # its place in what a `Reader` reads
    there: bool  # what the reader shall say
    parts: Sequence[int]  # of the target, where the edit is free


BEARD, BARE = "a face with a beard", "a face without a beard"
BLOND, DARK = "a face with blond hair", "a face with dark hair"
WISHES: Mapping[str, Wish] = {
    "a beard": Wish(BEARD, BARE, 0, True, FACE_PARTS),
    "no beard": Wish(BARE, BEARD, 0, False, FACE_PARTS),
    "blond hair": Wish(BLOND, DARK, 1, True, HEAD),
    "dark hair": Wish(DARK, BLOND, 1, False, HEAD),
}


@dataclass(frozen=True)
class Edits:
    """One edit a pair."""

    image: Tensor  # (n,S,S,3)
    mask: Tensor  # (n,S,S)


@dataclass(frozen=True)
class WishTrial:
    """Pairs, how they are edited, and the networks that read the edits."""

    models: FaceModels
    settings: EditSettings  # of an edit without a wish
    pairs: DrawnPairs
    readers: Mapping[str, Reader]  # the judge, and the guide itself
    identities: IdentityEncoder

    @classmethod
    def of(cls, clip: ClipEncoder, judge: Reader, count: int, seed: int) -> WishTrial:
        settings = replace(preset(PRESET), **CHEAP, seed=seed)
        readers = {"judge": judge, "guide": guide_reader(clip)}
        models = replace(load_demo_models(), clip=clip)
        return cls(models, settings, draw_pairs(count, seed, SIZE), readers, load_judge())

    def edit_all(self, scale: float, margin: float) -> dict[tuple[str, Sequence[int]], Edits]:
        """The edits by wish and by the parts that are free, each wish beside none."""
        edits = {}
        for name, wish in WISHES.items():
            if (NO_WISH, wish.parts) not in edits:
                edits[NO_WISH, wish.parts] = self.edit(self.settings, wish.parts, NO_WISH)
            text = TextWish(wish.prompt, wish.negative_prompt, margin)
            asked = replace(self.settings, text=TermSettings(scale), wish=text)
            edits[name, wish.parts] = self.edit(asked, wish.parts, name)
        return edits

    def edit(self, settings: EditSettings, parts: Sequence[int], name: str) -> Edits:
        """Edit every pair once, free in some parts of the target."""
        source, target = self.pairs.source.image, self.pairs.target
        mask = torch.isin(target.labels, torch.tensor(parts)).float()
        with tqdm(desc=name, unit="step") as bar:
            options = {"mask": mask, "on_step": progress_on(bar)}
            result = edit_face(self.models, source, target.image, settings, **options)
        return Edits(result.images[:, 0], result.mask[:, 0])


def guide_reader(clip: ClipEncoder) -> Reader:
    """What the guide itself sees, between the texts of each attribute."""
    directions = text_directions(clip, TextWish(f"{BEARD}\n{BLOND}", f"{BARE}\n{DARK}"))
    return lambda x: clip.embed(x) @ directions.T
