"""Face parts: which pixel is skin, brow, eye, ... and the mask made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import ImageSize, blur, imagenet_normalise, resize
from .errors import require_no_faults


class FacePart(IntEnum):
    """CelebAMask-HQ's 19 classes; the numbers are the editor's, whatever a network's order."""

    BACKGROUND = 0
    SKIN = 1
    L_BROW = 2
    R_BROW = 3
    L_EYE = 4
    R_EYE = 5
    EYE_GLASSES = 6
    L_EAR = 7
    R_EAR = 8
    EAR_RING = 9
    NOSE = 10
    MOUTH = 11
    U_LIP = 12
    L_LIP = 13
    NECK = 14
    NECK_LACE = 15
    CLOTH = 16
    HAIR = 17
    HAT = 18


FACE_PARTS = (
    *(FacePart.SKIN, FacePart.L_BROW, FacePart.R_BROW, FacePart.L_EYE, FacePart.R_EYE),
    *(FacePart.NOSE, FacePart.MOUTH, FacePart.U_LIP, FacePart.L_LIP),
)
"""The parts that a swap replaces."""

BISENET_CLASSES = tuple(FacePart)
PARSENET_CLASSES = tuple(
    map(FacePart, (0, 1, 10, 6, 4, 5, 2, 3, 7, 8, 11, 12, 13, 17, 18, 9, 15, 14, 16))
)
SEGFORMER_CLASSES = PARSENET_CLASSES  # CelebAMask-HQ's own order; BiSeNet's has another
"""The parts in the order of each network's classes."""

LABELS = {  # CelebAMask-HQ's words for the parts, as networks' configurations have them
    **{part.name.lower(): part for part in FacePart},
    "eye_g": FacePart.EYE_GLASSES,
    "ear_r": FacePart.EAR_RING,
    "neck_l": FacePart.NECK_LACE,
}

COLOURS = (
    *((38, 42, 51), (236, 188, 160), (124, 84, 52), (166, 116, 74), (64, 132, 214)),
    *((110, 186, 238), (90, 90, 140), (214, 140, 120), (196, 116, 96), (240, 206, 70)),
    *((244, 154, 120), (120, 30, 44), (222, 84, 104), (196, 56, 84), (212, 164, 138)),
    *((226, 188, 60), (84, 140, 108), (92, 62, 44), (140, 98, 190)),
)
"""One RGB colour a part, 0..255, for pictures of a parsing."""


class ParsingNetwork(Protocol):
    def logits(self, x: Tensor) -> Tensor:  # (B,3,S,S) -> (B,19,S,S)
        """Scores of the network's own classes, unnormalised."""
        ...


@dataclass(frozen=True)
class FaceParser:
    """A parsing network with the input it was trained on, and what each of its classes is."""

    network: ParsingNetwork
    size: int = 512
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise
    resize: Callable[[Tensor, ImageSize], Tensor] = resize
    classes: Sequence[FacePart] = BISENET_CLASSES

    def logits(self, image: Tensor, size: ImageSize | None = None) -> Tensor:  # (B,19,h,w)
        """Scores of each `FacePart` in (B,3,H,W) in [-1, 1], at `size` or else at its own."""
        x = self.normalise(self.resize(image, self.size))
        height, width = image.shape[-2:]
        scores = self.resize(self.network.logits(x), size or (height, width)).unbind(1)
        return torch.stack([scores[self.classes.index(part)] for part in FacePart], dim=1)


@dataclass(frozen=True)
class FaceParsing:
    """Scores of the face parts at every pixel of B pictures."""

    logits: Tensor  # (B,19,H,W)

    @property
    def labels(self) -> Tensor:  # (B,H,W) int64
        """The likeliest `FacePart` of each pixel."""
        return self.logits.argmax(1)

    def mask(self, *parts: FacePart) -> Tensor:  # (B,1,H,W)
        """1 where the pixel belongs to one of `parts`, else 0."""
        wanted = torch.tensor(parts, dtype=torch.int64, device=self.logits.device)
        return torch.isin(self.labels, wanted)[:, None].to(self.logits.dtype)


@torch.no_grad()
def parse_face(parser: FaceParser, image: Tensor) -> FaceParsing:
    """The parts of aligned faces (B,3,H,W) in [-1, 1], at the pictures' size, without gradient.

    Examples:
        >>> from guided_face_edit import load_models
        >>> from guided_face_edit.editor_core.demo.models import WEIGHTS
        >>> from guided_face_edit.editor_core.demo.pairs import draw_pairs
        >>> from guided_face_edit.editor_core.images import to_signed
        >>> face = to_signed(draw_pairs(1, seed=0, size=64).source.image)
        >>> parsing = parse_face(load_models(WEIGHTS).parser, face)
        >>> tuple(face_mask(parsing).shape), FacePart.NOSE in parsing.labels
        ((1, 1, 64, 64), True)
    """
    return FaceParsing(parser.logits(image))


def face_mask(
    parsing: FaceParsing,
    parts: Sequence[FacePart] = FACE_PARTS,
    grow: int = 0,
    feather: float = 0.0,
    before: Sequence[FacePart] = (),
) -> Tensor:  # (B,1,H,W) in [0, 1]
    """The mask of some parts of B faces.

    Args:
        parsing: Of the faces.
        parts: What the mask covers; by default what a swap replaces.
        grow: Pixels by which it is wider, on every side.
        feather: Pixels (sigma) by which its edge is blurred.
        before: Other parts, over which it never grows: what lies before the face.
    """
    mask = parsing.mask(*parts)
    if grow:
        mask = F.max_pool2d(mask, 2 * grow + 1, stride=1, padding=grow)
    free = 1 - parsing.mask(*set(before).difference(parts))
    return blur(mask * free, feather).clamp(0, 1) * free


def require_face(parsing: FaceParsing, name: str = "picture") -> None:
    """Refuse pictures in which none of `FACE_PARTS` is parsed, all of them in one `FaceError`."""
    empty = parsing.mask(*FACE_PARTS).sum((1, 2, 3)) == 0
    fault = "shows no face, expected an aligned face crop: crop it, or give a mask"
    require_no_faults(dict.fromkeys(empty.nonzero().flatten().tolist(), fault), name)


def parts_named(names: str, none: bool = False) -> tuple[FacePart, ...]:
    """`"l_eye, nose"` -> the parts; `face` stands for those that a swap replaces.

    With `none`, no name stands for no part.
    """
    known = {"face": FACE_PARTS, **{part.name.lower(): (part,) for part in FacePart}}
    words = [word.strip() for word in names.split(",") if word.strip()]
    if not words and not none:
        raise ValueError("no parts are named: name some, for instance face, or l_eye, r_eye")
    for name in words:
        if name.lower() not in known:
            raise ValueError(f'there is no part "{name}", expected {", ".join(known)}')
    return tuple(dict.fromkeys(part for name in words for part in known[name.lower()]))


def paint_parsing(labels: Tensor) -> Tensor:  # (B,H,W) -> (B,H,W,3) in [0, 1]
    """The parsing as a picture, one of `COLOURS` a part."""
    return torch.tensor(COLOURS, device=labels.device)[labels] / 255
