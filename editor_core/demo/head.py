"""The posed head, pixel by pixel.

The head is an ellipsoid: each pixel is traced to the unit sphere, and the sphere is turned back by
the head's pose. What is painted in those unposed coordinates (u to the right, v downwards, both in
-1..1) turns and foreshortens with the head.
"""

from dataclasses import dataclass

import torch

from .canvas import Canvas, column, smooth
from .people import OuterHead, Scene


@dataclass(frozen=True)
class Head:
    """Per-pixel geometry of the posed head, each (B,H,W) unless noted."""

    x: torch.Tensor  # offset from the centre, head frame, image half-widths
    y: torch.Tensor
    sx: torch.Tensor  # on the unit sphere before unposing: the outline is sx^2 + sy^2 = 1
    sy: torch.Tensor
    u: torch.Tensor  # on the unit sphere after unposing
    v: torch.Tensor
    outline: torch.Tensor  # coverage of the head
    shade: torch.Tensor  # of soft directional light, a Lambertian factor about 1, (B,1,H,W)
    width: torch.Tensor  # half-axes (B,1,1), image half-widths
    height: torch.Tensor
    yaw: torch.Tensor  # (B,1,1) radians
    pitch: torch.Tensor


def pose_head(canvas: Canvas, outer: OuterHead, scene: Scene) -> Head:
    """Trace every pixel to the unposed head."""
    width, height = column(outer["head_width"]), column(outer["head_height"])
    x, y = head_frame(canvas, scene)
    taper = 1 - column(outer["jaw_taper"]) * smooth(y / height, -0.1, 1.05)
    sx, sy = x / (width * taper), y / height
    radius2 = sx**2 + sy**2
    sz = (1 - radius2).clamp(min=0.0025).sqrt()
    yaw, pitch = column(torch.deg2rad(scene["yaw"])), column(torch.deg2rad(scene["pitch"]))
    v, depth = sy * pitch.cos() + sz * pitch.sin(), sz * pitch.cos() - sy * pitch.sin()
    u = sx * yaw.cos() - depth * yaw.sin()
    outline = canvas.coverage((radius2.clamp(min=1e-6).sqrt() - 1) * width * taper)
    light_x, light_y = column(scene["light_x"]), column(scene["light_y"])
    cosine = (sx * light_x + sy * light_y + sz) / (light_x**2 + light_y**2 + 1).sqrt()
    shade = (0.70 + 0.36 * cosine.clamp(0, 1))[:, None]
    return Head(x, y, sx, sy, u, v, outline, shade, width, height, yaw, pitch)


def head_frame(canvas: Canvas, scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel coordinates relative to the head's centre, upright and at scale 1."""
    dx, dy = canvas.x - column(scene["x"]), canvas.y - column(scene["y"]) - 0.06
    roll, scale = column(torch.deg2rad(scene["roll"])), column(scene["scale"])
    x = (dx * roll.cos() + dy * roll.sin()) / scale
    y = (-dx * roll.sin() + dy * roll.cos()) / scale
    return x, y
