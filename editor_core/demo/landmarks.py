"""Where the five points of drawn faces truly are."""

import torch
from torch import Tensor

from .canvas import smooth
from .features import EYE_V, MOUTH_V, NOSE_V
from .people import Identity, Scene


def five_points(identity: Identity, scene: Scene) -> Tensor:  # -> (B,5,2)
    """Eyes, nose and mouth corners in the order of POINTS, -1 to 1 over a portrait."""
    u, v = unposed_points(identity, scene)
    return in_picture(u, v, identity, scene)


def unposed_points(identity: Identity, scene: Scene) -> tuple[Tensor, Tensor]:
    """The points (B,5) on the head that looks ahead."""
    yaw, pitch = (torch.deg2rad(scene[name]) for name in ("yaw", "pitch"))
    eye, smile = identity.inner["eye_spacing"], scene["smile"]
    corner = identity.inner["mouth_width"] * (1 + 1.2 * smile.clamp(min=0))
    nose = NOSE_V - 0.10 * pitch.sin()
    lifted = MOUTH_V - smile
    u = torch.stack([-eye, eye, 0.16 * yaw.sin(), -corner, corner], 1)
    return u, torch.stack([eye * 0 + EYE_V, eye * 0 + EYE_V, nose, lifted, lifted], 1)


def in_picture(u: Tensor, v: Tensor, identity: Identity, scene: Scene) -> Tensor:  # -> (B,5,2)
    """Points of the unposed unit sphere where the picture shows them; undone by `pose_head`."""
    outer = identity.outer
    yaw, pitch = (torch.deg2rad(scene[name])[:, None] for name in ("yaw", "pitch"))
    w = (1 - u**2 - v**2).clamp(min=0).sqrt()
    x, lifted = u * yaw.cos() + w * yaw.sin(), w * yaw.cos() - u * yaw.sin()
    y = v * pitch.cos() - lifted * pitch.sin()
    taper = 1 - outer["jaw_taper"][:, None] * smooth(y, -0.1, 1.05)
    x, y = x * outer["head_width"][:, None] * taper, y * outer["head_height"][:, None]
    roll, scale = torch.deg2rad(scene["roll"])[:, None], scene["scale"][:, None]
    across = (x * roll.cos() - y * roll.sin()) * scale + scene["x"][:, None]
    down = (x * roll.sin() + y * roll.cos()) * scale + scene["y"][:, None] + 0.06
    return torch.stack([across, down], 2)
