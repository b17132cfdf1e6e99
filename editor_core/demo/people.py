"""Who is drawn and how: identities and scenes of the drawn world, as named parameters in [0, 1].

A person is an *inner* face, which a swap transplants, and an *outer* head, which it leaves alone.
A scene is everything that is neither: pose, gaze, expression, light, clothes, background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

Range = tuple[float, float]
SKIN = ("skin_lightness", "skin_warmth")  # in the inner face and, apart, on the outer head


@dataclass(frozen=True)
class Traits:
    """A batch of named parameters: `values` (B, len(RANGES)) in [0, 1], read in their own units."""

    values: torch.Tensor
    RANGES: ClassVar[dict[str, Range]] = {}

    @classmethod
    def random(cls, count: int, generator: torch.Generator):
        """Draw `count` independent rows, uniform over every range."""
        return cls(torch.rand(count, len(cls.RANGES), generator=generator))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> torch.Tensor:  # -> (B,)
        low, high = self.RANGES[name]
        return low + (high - low) * self.column(name)

    def column(self, name: str) -> torch.Tensor:  # -> (B,) in [0, 1]
        """One parameter as it is stored."""
        return self.values[:, list(self.RANGES).index(name)]

    def with_(self, **columns: torch.Tensor):
        """Replace whole columns, given in [0, 1]."""
        values = self.values.clone()
        for name, column in columns.items():
            values[:, list(self.RANGES).index(name)] = column
        return replace(self, values=values)

    def rows(self, index):
        return replace(self, values=self.values[index])

    @classmethod
    def stack(cls, traits):
        return cls(torch.cat([each.values for each in traits]))


class InnerFace(Traits):
    """What a face swap carries from source to target."""

    RANGES: ClassVar[dict[str, Range]] = {
        "skin_lightness": (0.0, 1.0),
        "skin_warmth": (-1.0, 1.0),
        "eye_width": (0.275, 0.305),
        "eye_height": (0.155, 0.180),
        "eye_tilt": (-0.06, 0.12),
        "eye_spacing": (0.415, 0.445),
        "iris_hue": (0.0, 1.0),
        "iris_lightness": (0.45, 1.0),
        "lash_weight": (0.3, 1.0),
        "brow_thickness": (0.072, 0.092),
        "brow_arch": (0.03, 0.07),
        "brow_tilt": (-0.06, 0.06),
        "brow_lightness": (0.0, 1.0),
        "brow_warmth": (0.0, 1.0),
        "nose_width": (0.145, 0.18),
        "nose_length": (0.26, 0.31),
        "nose_shadow": (0.2, 1.0),
        "lip_fullness": (0.076, 0.094),
        "lip_hue": (0.0, 1.0),
        "lip_depth": (0.0, 1.0),
        "mouth_width": (0.28, 0.33),
        "blush": (0.0, 1.0),
        "freckles": (0.0, 1.0),
        "stubble": (-1.0, 1.0),
        "eye_shadow": (0.0, 1.0),
        "eye_shadow_hue": (0.0, 1.0),
        "mole_side": (-0.42, 0.42),
        "mole_size": (-0.03, 0.055),
    }


class OuterHead(Traits):
    """What the target keeps: the outline of the head, hair, ears, and the skin outside the face."""

    RANGES: ClassVar[dict[str, Range]] = {
        "head_width": (0.50, 0.58),
        "head_height": (0.68, 0.76),
        "jaw_taper": (0.04, 0.24),
        "ear_size": (0.8, 1.2),
        "ear_height": (-0.06, 0.10),
        "hair_lightness": (0.0, 1.0),
        "hair_warmth": (0.0, 1.0),
        "hair_length": (-0.5, 0.95),
        "hair_volume": (0.05, 0.14),
        "hairline": (-0.74, -0.62),
        "parting": (-0.6, 0.6),
        "fringe_curve": (0.05, 0.28),
        "hat": (-6.0, 1.0),
        "hat_hue": (0.0, 1.0),
        "skin_lightness": (0.0, 1.0),
        "skin_warmth": (-1.0, 1.0),
    }


class Scene(Traits):
    """What changes from picture to picture of one person. Angles in degrees.

    Head `yaw` is positive towards the right of the image, `pitch` positive upwards; the gaze is
    relative to the head, with the same signs.
    """

    RANGES: ClassVar[dict[str, Range]] = {
        "yaw": (-20.0, 20.0),
        "pitch": (-9.0, 9.0),
        "roll": (-7.0, 7.0),
        "x": (-0.05, 0.05),
        "y": (-0.04, 0.06),
        "scale": (1.05, 1.14),
        "gaze_yaw": (-28.0, 28.0),
        "gaze_pitch": (-16.0, 16.0),
        "mouth_opening": (-0.02, 0.10),
        "smile": (-0.03, 0.09),
        "light_x": (-0.7, 0.7),
        "light_y": (-0.7, 0.1),
        "light_strength": (0.90, 1.08),
        "light_warmth": (-1.0, 1.0),
        "background_hue": (0.0, 1.0),
        "background_saturation": (0.1, 0.55),
        "background_lightness": (0.35, 0.9),
        "background_tilt": (-1.0, 1.0),
        "blob_x": (-1.0, 1.0),
        "blob_y": (-1.0, 0.4),
        "cloth_hue": (0.0, 1.0),
        "cloth_saturation": (0.1, 0.8),
        "cloth_lightness": (0.15, 0.85),
        "neckline": (0.0, 1.0),
        "glasses": (-7.0, 1.0),
        "glasses_lightness": (0.05, 0.5),
        "earrings": (-3.0, 1.0),
        "necklace": (-3.0, 1.0),
    }


@dataclass(frozen=True)
class Identity:
    """A batch of people."""

    inner: InnerFace
    outer: OuterHead

    @classmethod
    def random(cls, count: int, generator: torch.Generator) -> Identity:
        """Draw people whose neck and ears have the skin of their face."""
        inner = InnerFace.random(count, generator)
        skin = {name: inner.column(name) for name in SKIN}
        return cls(inner, OuterHead.random(count, generator).with_(**skin))

    def __len__(self) -> int:
        return len(self.inner)

    def rows(self, index) -> Identity:
        """Select people by slice or index tensor."""
        return Identity(self.inner.rows(index), self.outer.rows(index))

    @classmethod
    def stack(cls, people: Sequence[Identity]) -> Identity:
        inner = InnerFace.stack([each.inner for each in people])
        return cls(inner, OuterHead.stack([each.outer for each in people]))

    def with_inner_face(self, inner: InnerFace) -> Identity:
        """The true swap: these heads with somebody else's inner faces."""
        return replace(self, inner=inner)
