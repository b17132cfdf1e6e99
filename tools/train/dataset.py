"""The pictures that the demo models learn from: drawn once, kept as bytes, read at random."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from ...editor_core.demo.people import SKIN, Identity, InnerFace, OuterHead, Scene
from ...editor_core.demo.portraits import draw

CHUNK = 64  # pictures drawn at a time


@dataclass(frozen=True)
class PortraitSet:
    """`people` x `pictures` portraits; row i shows person i // pictures."""

    image: torch.Tensor  # (N,3,S,S) uint8
    twin: torch.Tensor  # (N,3,S,S) uint8: the same head and scene with another inner face
    labels: torch.Tensor  # (N,S,S) uint8
    inner: torch.Tensor  # (N,len(InnerFace.RANGES)) in [0,1]
    scene: torch.Tensor  # (N,len(Scene.RANGES)) in [0,1]
    pictures: int

    def __len__(self) -> int:
        return len(self.image)

    def person(self, rows: torch.Tensor) -> torch.Tensor:
        return rows // self.pictures

    def picture(self, rows: torch.Tensor, twin: bool = False) -> torch.Tensor:
        """Pictures (B,3,S,S) in [-1,1], or their twins, as input to the networks."""
        return from_bytes((self.twin if twin else self.image)[rows])


def as_bytes(image: torch.Tensor) -> torch.Tensor:  # (N,S,S,3) in [0,1] -> (N,3,S,S) uint8
    """Drawn pictures as they are kept."""
    return image.movedim(-1, 1).mul(255).round().byte()


def from_bytes(image: torch.Tensor) -> torch.Tensor:  # (N,3,S,S) uint8 -> in [-1,1]
    """Kept pictures as networks see them."""
    return image.float() / 127.5 - 1


def random_pictures(inner: InnerFace, generator: torch.Generator) -> tuple[Identity, Scene]:
    """Inner faces on random heads in random scenes; half have their own skin on neck and ears."""
    count = len(inner)
    outer = OuterHead.random(count, generator)
    own = (torch.rand(count, generator=generator) < 0.5).float()
    skin = {name: own * inner.column(name) + (1 - own) * outer.column(name) for name in SKIN}
    return Identity(inner, outer.with_(**skin)), Scene.random(count, generator)


def draw_set(people: int, pictures: int, size: int, seed: int) -> dict[str, torch.Tensor]:
    """Draw the training pictures, `pictures` of every person on different heads.

    A picture's twin has the inner face of the next person.
    """
    generator = torch.Generator().manual_seed(seed)
    inner = InnerFace.random(people, generator)
    inner = inner.rows(torch.arange(people).repeat_interleave(pictures))
    others = inner.rows((torch.arange(len(inner)) + pictures) % len(inner))
    rows = []
    for start in tqdm(range(0, len(inner), CHUNK), desc="drawing portraits"):
        chunk = slice(start, start + CHUNK)
        identity, scene = random_pictures(inner.rows(chunk), generator)
        portrait = draw(identity, scene, size)
        twin = draw(identity.with_inner_face(others.rows(chunk)), scene, size)
        images = (as_bytes(each.image) for each in (portrait, twin))
        rows.append((*images, portrait.labels.byte(), identity.inner.values, scene.values))
    columns = (torch.cat(column).contiguous() for column in zip(*rows, strict=True))
    return dict(zip(("image", "twin", "labels", "inner", "scene"), columns, strict=True))


def load_or_draw(path: Path, people: int, pictures: int, size: int, seed: int) -> PortraitSet:
    """Read the set at `path`, or draw it there first."""
    if not path.exists():
        save_file(draw_set(people, pictures, size, seed), path)
    return PortraitSet(**load_file(path), pictures=pictures)
