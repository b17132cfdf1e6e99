"""Parametric portraits with known truth: image, CelebAMask-HQ labels, eye boxes and gaze.

Everything is drawn in torch, vectorised over the batch, back to front. Shapes are signed distances,
anti-aliased over one pixel; what sits on the head is painted in coordinates that turn with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..face.eyes import EyeBoxes, find_eyes_in_labels
from ..face.gaze import Gaze
from ..face.parsing import FacePart
from . import features
from .canvas import Canvas, column, smooth
from .colours import hair_colour, hsl, rgb_colour, skin_colour
from .head import Head, pose_head
from .people import Identity, OuterHead, Scene

GOLD = (0.87, 0.72, 0.30)  # of jewellery
MIN_EYE_AREA = 0.003  # share of the picture that a visible eye takes


@dataclass(frozen=True)
class Portrait:
    """A batch of drawn pictures and what is true of them."""

    image: torch.Tensor  # (B,H,W,3) in [0,1]
    labels: torch.Tensor  # (B,H,W) int64, CelebAMask-HQ classes
    gaze: Gaze  # radians, relative to the head

    def __len__(self) -> int:
        return len(self.image)

    def rows(self, index: slice) -> Portrait:
        gaze = Gaze(self.gaze.pitch[index], self.gaze.yaw[index])
        return Portrait(self.image[index], self.labels[index], gaze)

    @classmethod
    def stack(cls, portraits: Sequence[Portrait]) -> Portrait:
        gaze = Gaze(*(torch.cat([getattr(p.gaze, a) for p in portraits]) for a in ("pitch", "yaw")))
        image, labels = (torch.cat([getattr(p, a) for p in portraits]) for a in ("image", "labels"))
        return cls(image, labels, gaze)

    @property
    def eye_boxes(self) -> EyeBoxes:
        """Boxes of the visible eyes, xyxy pixels."""
        return find_eyes_in_labels(self.labels)


def both_eyes_visible(labels: torch.Tensor) -> torch.Tensor:  # (B,H,W) -> (B,)
    """Where enough of both eyes shows: the fringe of some heads hides one."""
    least = MIN_EYE_AREA * labels.shape[1] * labels.shape[2]
    eyes = (FacePart.L_EYE, FacePart.R_EYE)
    return torch.stack([(labels == eye).sum((1, 2)) >= least for eye in eyes]).all(0)


def draw(identity: Identity, scene: Scene, size: int = 64) -> Portrait:
    """Draw person k in scene k, for the whole batch, at `size` x `size` pixels."""
    canvas = Canvas.over(scene, (size, size))
    draw_background(canvas, scene)
    draw_person(canvas, identity, scene)
    gaze = Gaze(torch.deg2rad(scene["gaze_pitch"]), torch.deg2rad(scene["gaze_yaw"]))
    image = (canvas.image * canvas.light).clamp(0, 1)
    return Portrait(image.permute(0, 2, 3, 1).contiguous(), canvas.labels, gaze)


def draw_person(canvas: Canvas, identity: Identity, scene: Scene) -> None:
    """Everything of a portrait but its background."""
    head = pose_head(canvas, identity.outer, scene)
    draw_hair_behind(canvas, head, identity.outer)
    draw_body(canvas, head, identity.outer, scene)
    draw_ears(canvas, head, identity.outer, scene)
    features.draw_face(canvas, head, identity.inner, scene)
    draw_hair_in_front(canvas, head, identity.outer)
    draw_hat(canvas, head, identity.outer)
    draw_glasses(canvas, head, identity.inner, scene)


def draw_background(canvas: Canvas, scene: Scene) -> None:
    """A tilted gradient with one soft blob."""
    lightness = scene["background_lightness"]
    near = hsl(scene["background_hue"], scene["background_saturation"], lightness)
    far = hsl((scene["background_hue"] + 0.08) % 1, scene["background_saturation"], lightness * 0.6)
    blend = smooth(canvas.y + column(scene["background_tilt"]) * canvas.x, -1.4, 1.4)[:, None]
    canvas.image = near * (1 - blend) + far * blend
    away = (canvas.x - column(scene["blob_x"])) ** 2 + (canvas.y - column(scene["blob_y"])) ** 2
    canvas.tint((1 - smooth(away.sqrt(), 0.1, 0.9)) * 0.35, near * 0.5 + 0.5)


def draw_hair_behind(canvas: Canvas, head: Head, outer: OuterHead) -> None:
    """The hair's silhouette: a cap around the skull and a fall down to its length."""
    volume, length = column(outer["hair_volume"]), column(outer["hair_length"])
    shift = head.yaw.sin() * -0.05
    x, y = head.x - shift, head.y + 0.06
    cap = ellipse(x, y, head.width + volume, head.height * 0.93 + volume * 0.8)
    sides = x.abs() - head.width - volume * (1.05 + 0.25 * y)
    fall = torch.maximum(sides, torch.maximum(y - length, -y))
    fall = torch.where(length > 0, fall, torch.full_like(fall, 9.0))
    cap = torch.maximum(cap, head.y - torch.maximum(length, torch.full_like(length, -0.05)) - 0.1)
    colour = hair_with_strands(outer, head.x, head.y)
    canvas.paint(canvas.coverage(torch.minimum(cap, fall)), colour * 0.82, FacePart.HAIR)


def hair_with_strands(outer: OuterHead, across, along) -> torch.Tensor:  # -> (B,3,H,W)
    """Hair colour, modulated by strands that run along the second coordinate."""
    strands = (across * 26 + along * 3).sin() * 0.6 + (across * 43 - along * 5).sin() * 0.4
    colour = hair_colour(outer["hair_lightness"], outer["hair_warmth"])
    return colour * (1 + 0.10 * strands[:, None])


def draw_body(canvas: Canvas, head: Head, outer: OuterHead, scene: Scene) -> None:
    """Neck, shoulders and, sometimes, a necklace."""
    skin, gold = skin_colour(outer), rgb_colour(*GOLD)
    cloth = hsl(scene["cloth_hue"], scene["cloth_saturation"], scene["cloth_lightness"])
    x = canvas.x - column(scene["x"]) * 0.8
    neck = torch.maximum(x.abs() - head.width * 0.56, 0.2 - canvas.y)
    under_chin = 0.66 + 0.30 * smooth(head.sy, 0.98, 1.30)
    canvas.paint(canvas.coverage(neck), skin * under_chin[:, None], FacePart.NECK)
    shoulders = ellipse(x, canvas.y - 1.30, 0.98, 0.47)
    canvas.paint(canvas.coverage(shoulders), skin * 0.93, FacePart.NECK)
    chain = (ellipse(x, canvas.y - 0.66, head.width * 0.62, 0.27)).abs() - 0.018
    worn = torch.maximum(chain, 0.68 - canvas.y)
    canvas.paint(canvas.coverage(worn) * is_worn(scene["necklace"]), gold, FacePart.NECK_LACE)
    opening = ellipse(x, canvas.y - 0.72, head.width * 0.72, 0.12 + 0.2 * column(scene["neckline"]))
    fold = 1 + 0.08 * (x * 9).sin() - 0.2 * smooth(x.abs(), 0.5, 1.0)
    below = torch.maximum(x.abs() - 0.98, 1.30 - canvas.y)  # the picture's edge, in a portrait
    garment = torch.minimum(torch.maximum(shoulders, -opening), below)
    canvas.paint(canvas.coverage(garment), cloth * fold[:, None], FacePart.CLOTH)


def draw_ears(canvas: Canvas, head: Head, outer: OuterHead, scene: Scene) -> None:
    """Ears that come forward or hide as the head turns, and earrings on some."""
    size, height = column(outer["ear_size"]), column(outer["ear_height"])
    skin, gold = skin_colour(outer), rgb_colour(*GOLD)
    for side, part in ((-1, FacePart.L_EAR), (1, FacePart.R_EAR)):
        centre = side * head.width * (head.yaw.cos() - 0.10 * side * head.yaw.sin())
        x, y = head.x - centre, head.y - height - head.pitch.sin() * -0.08
        shell = ellipse(x, y, 0.085 * size, 0.15 * size)
        canvas.paint(canvas.coverage(shell), skin * 0.95, part)
        inside = ellipse(x - side * 0.015, y, 0.045 * size, 0.09 * size)
        canvas.tint(canvas.coverage(inside) * 0.35, skin * 0.6)
        ring = ellipse(x - side * 0.02, y - 0.19 * size, 0.035, 0.045)
        canvas.paint(canvas.coverage(ring) * is_worn(scene["earrings"]), gold, FacePart.EAR_RING)


def draw_hair_in_front(canvas: Canvas, head: Head, outer: OuterHead) -> None:
    """The fringe above a parted hairline."""
    parting, curve = column(outer["parting"]), column(outer["fringe_curve"])
    hairline = column(outer["hairline"]) + curve * (head.u - parting) ** 2
    on_skull = ellipse(head.x, head.y + 0.04, head.width * 1.03, head.height * 1.02)
    fringe = torch.maximum((head.v - hairline) * head.height, on_skull)
    colour = hair_with_strands(outer, head.u - parting, head.v)
    canvas.paint(canvas.coverage(fringe), colour * head.shade, FacePart.HAIR)


def draw_hat(canvas: Canvas, head: Head, outer: OuterHead) -> None:
    """A knitted cap with a darker brim, on a few heads."""
    hue = outer["hat_hue"]
    colour = hsl(hue, torch.full_like(hue, 0.45), torch.full_like(hue, 0.42))
    volume = column(outer["hair_volume"])
    crown = ellipse(head.x, head.y + 0.10, head.width + volume, head.height * 0.95 + volume * 0.7)
    cap = torch.maximum(crown, (head.v + 0.66) * head.height)
    knit = 1 + 0.10 * (head.x * 40).sin()
    worn = is_worn(outer["hat"])
    canvas.paint(canvas.coverage(cap) * worn, colour * knit[:, None] * head.shade, FacePart.HAT)
    brim = torch.maximum(cap, (-0.80 - head.v) * head.height)
    canvas.tint(canvas.coverage(brim) * worn * 0.5, colour * 0.5)


def draw_glasses(canvas: Canvas, head: Head, inner, scene: Scene) -> None:
    """Two rims and a bridge; the lenses are clear and belong to what is behind them."""
    spacing = column(inner["eye_spacing"])
    worn, tone = is_worn(scene["glasses"]), scene["glasses_lightness"]
    rims = torch.full_like(head.u, 9.0)
    for side in (-1, 1):
        rim = ellipse(head.u - side * spacing, head.v - features.EYE_V, 0.36, 0.27).abs() - 0.028
        rims = torch.minimum(rims, rim)
    bridge = torch.maximum((head.v - features.EYE_V + 0.06).abs() - 0.028, head.u.abs() - 0.08)
    rims = torch.maximum(torch.minimum(rims, bridge) * head.width, head.sx.abs() - 0.97)
    canvas.paint(canvas.coverage(rims) * worn, hsl(tone * 0, tone * 0, tone), FacePart.EYE_GLASSES)


def ellipse(x, y, a, b) -> torch.Tensor:
    """Approximate signed distance to an axis-aligned ellipse of half-axes a, b."""
    scale = torch.as_tensor(a).minimum(torch.as_tensor(b))
    return (((x / a) ** 2 + (y / b) ** 2).clamp(min=1e-8).sqrt() - 1) * scale


def is_worn(chance: torch.Tensor) -> torch.Tensor:  # (B,) -> (B,1,1)
    """1 where an occasional accessory is worn: its parameter is above zero."""
    return column((chance > 0).float())
