"""Palettes of the drawn world: parameters in, RGB (B,3,1,1) in [0,1] out."""

import torch

HAIR = ((0.09, 0.07, 0.07), (0.30, 0.19, 0.12), (0.58, 0.41, 0.24), (0.88, 0.74, 0.5))
LIPS = ((0.62, 0.36, 0.28), (0.76, 0.22, 0.20), (0.86, 0.34, 0.46), (0.52, 0.18, 0.38))


def rgb_colour(red: float, green: float, blue: float) -> torch.Tensor:  # -> (1,3,1,1)
    """One colour, for use against pictures."""
    return torch.tensor([red, green, blue])[None, :, None, None]


def hsl(hue, saturation, lightness) -> torch.Tensor:
    """Hue, saturation, lightness (B,) in [0,1] to RGB (B,3,1,1) in [0,1]."""
    offsets = torch.tensor([0.0, 8.0, 4.0])
    k = (offsets + 12 * hue[:, None]) % 12
    amplitude = (saturation * torch.minimum(lightness, 1 - lightness))[:, None]
    colour = lightness[:, None] - amplitude * torch.minimum(k - 3, 9 - k).clamp(-1, 1)
    return colour[:, :, None, None]


def ramp(position, *stops) -> torch.Tensor:
    """Piecewise linear ramp through RGB `stops` at position (B,) in [0,1] -> (B,3,1,1)."""
    table = torch.tensor(stops)
    scaled = position.clamp(0, 1) * (len(stops) - 1)
    low = scaled.floor().clamp(max=len(stops) - 2).long()
    weight = (scaled - low)[:, None]
    return ((1 - weight) * table[low] + weight * table[low + 1])[:, :, None, None]


def skin_colour(traits) -> torch.Tensor:
    """Skin of an inner face or of an outer head."""
    tone = ramp(
        traits["skin_lightness"],
        (0.36, 0.22, 0.15),
        (0.56, 0.37, 0.26),
        (0.76, 0.56, 0.43),
        (0.90, 0.71, 0.59),
        (0.98, 0.84, 0.76),
    )
    warmth = traits["skin_warmth"][:, None, None, None] * rgb_colour(0.025, 0.0, -0.045)
    return (tone + warmth).clamp(0, 1)


def hair_colour(lightness, warmth) -> torch.Tensor:
    """Black through brown to blond (lightness), cool to red (warmth)."""
    base = ramp(lightness, *HAIR)
    return (base + warmth[:, None, None, None] * rgb_colour(0.14, -0.02, -0.06)).clamp(0, 1)


def iris_colour(face) -> torch.Tensor:
    """Brown, amber, green, blue, grey along the hue; darker to lighter."""
    tone = ramp(
        face["iris_hue"],
        (0.34, 0.18, 0.08),
        (0.62, 0.40, 0.12),
        (0.24, 0.52, 0.24),
        (0.16, 0.46, 0.78),
        (0.52, 0.58, 0.66),
    )
    return tone * face["iris_lightness"][:, None, None, None]


def lip_colour(face) -> torch.Tensor:
    """From brownish over red to pink and plum (hue); pale to saturated (depth)."""
    tone = ramp(face["lip_hue"], *LIPS)
    depth = (0.45 + 0.55 * face["lip_depth"])[:, None, None, None]
    return depth * tone + (1 - depth) * skin_colour(face)
