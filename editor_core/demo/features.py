"""The inner face: skin, eyes, brows, nose and mouth, in the head's unposed coordinates."""

import torch

from ..face.parsing import FacePart
from .canvas import Canvas, column, smooth
from .colours import hair_colour, hsl, iris_colour, lip_colour, rgb_colour, skin_colour
from .head import Head
from .people import InnerFace, Scene

EYE_V, MOUTH_V, NOSE_V = -0.10, 0.56, 0.30
FRECKLES = ((0.26, 0.16), (0.36, 0.24), (0.46, 0.15), (0.54, 0.26), (0.30, 0.32), (0.44, 0.36))
EYEBALL = 0.34  # radius: the iris moves by this times the sine of the gaze


def draw_face(canvas: Canvas, head: Head, face: InnerFace, scene: Scene) -> None:
    """Paint the face of every person, back to front."""
    draw_skin(canvas, head, face)
    draw_nose(canvas, head, face)
    for side in (-1, 1):
        draw_eye(canvas, head, face, scene, side)
        draw_brow(canvas, head, face, side)
    draw_mouth(canvas, head, face, scene)


def draw_skin(canvas: Canvas, head: Head, face: InnerFace) -> None:
    """Complexion: tone, blush, stubble, freckles and a mole."""
    skin = skin_colour(face) * head.shade
    canvas.paint(head.outline, skin, FacePart.SKIN)
    red = skin * rgb_colour(1.05, 0.66, 0.66)
    for side in (-1, 1):
        cheek = 1 - smooth(distance(head.u - side * 0.52, head.v - 0.28), 0.05, 0.34)
        canvas.tint(cheek * head.outline * column(face["blush"]) * 0.75, red)
    jaw = smooth(head.v, 0.30, 0.60) * smooth(head.u.abs() + head.v, 0.45, 0.75)
    beard = hair_colour(face["brow_lightness"] * 0.6, face["brow_warmth"]) * head.shade
    canvas.tint(jaw * head.outline * column(face["stubble"].clamp(min=0)) * 0.55, beard)
    draw_freckles(canvas, head, face, skin)
    mole = distance(head.u - column(face["mole_side"]), head.v - 0.42) - column(face["mole_size"])
    canvas.tint(canvas.coverage(mole * head.width) * head.outline * 0.8, skin * 0.35)


def draw_freckles(canvas: Canvas, head: Head, face: InnerFace, skin: torch.Tensor) -> None:
    """Small dark spots on both cheeks."""
    spots = torch.full_like(head.u, 9.0)
    for side in (-1, 1):
        for u, v in FRECKLES:
            spots = torch.minimum(spots, distance(head.u - side * u, head.v - v))
    amount = (1 - smooth(spots, 0.015, 0.05)) * head.outline * column(face["freckles"])
    canvas.tint(amount * 0.8, skin * 0.6)


def draw_nose(canvas: Canvas, head: Head, face: InnerFace) -> None:
    """A bridge that widens into a bulb, lit along the middle, with nostrils."""
    width, length = column(face["nose_width"]), column(face["nose_length"])
    u = head.u - 0.16 * head.yaw.sin()  # the nose stands out, so it moves further than the skin
    v = head.v - NOSE_V + 0.10 * head.pitch.sin()
    along = ((v + length) / length).clamp(0, 1)
    half = width * (0.42 + 0.58 * along**2)
    bridge = torch.maximum(u.abs() - half, torch.maximum(-length - v, v - 0.02)) * head.width
    bulb = (distance(u / width, (v - 0.005) / 0.105) - 1) * 0.105 * head.height
    skin = skin_colour(face) * head.shade
    strength = column(face["nose_shadow"])
    tone = skin * (1.06 - smooth(u.abs() / half, 0.35, 1.0) * strength * 0.30)[:, None]
    canvas.paint(canvas.coverage(torch.minimum(bridge, bulb)), tone, FacePart.NOSE)
    under = (1 - smooth((v - 0.11).abs(), 0.01, 0.07)) * (1 - smooth(u.abs(), 0.05, 0.20))
    canvas.tint(under * (0.25 + 0.3 * strength), skin * 0.55)
    for side in (-1, 1):
        nostril = distance((u - side * width * 0.5) / 0.05, (v - 0.065) / 0.032) - 1
        canvas.tint(canvas.coverage(nostril * 0.03) * 0.75, skin * 0.30)
    canvas.tint((1 - smooth(distance(u, v + 0.03), 0.0, 0.09)) * 0.35, skin * 0.4 + 0.6)


def draw_eye(canvas: Canvas, head: Head, face: InnerFace, scene: Scene, side: int) -> None:
    """Eye shadow, almond, iris, pupil, highlight and lashes; side -1 is the image's left."""
    u = head.u - side * column(face["eye_spacing"])  # outwards reversed on the left
    v = head.v - EYE_V + side * u * column(face["eye_tilt"])
    half_width, height = column(face["eye_width"]), column(face["eye_height"])
    opening = height * (1 - (u / half_width) ** 2).clamp(min=0)
    lid_up, lid_down = v + opening, v - opening * 0.82
    almond = torch.maximum(torch.maximum(-lid_up, lid_down), u.abs() - half_width) * head.height
    draw_eye_shadow(canvas, head, face, u, v)
    inside = canvas.coverage(almond)
    white = rgb_colour(0.96, 0.95, 0.94) * (0.78 + 0.22 * smooth(lid_up, 0.0, 0.10))[:, None]
    canvas.paint(inside, white, FacePart.L_EYE if side < 0 else FacePart.R_EYE)
    draw_iris(canvas, head, face, scene, u, v, inside)
    lash = torch.maximum(lid_up.abs() - 0.035, u.abs() - half_width * 1.04) * head.height
    dark = hair_colour(face["brow_lightness"] * 0.25, face["brow_warmth"])
    canvas.tint(canvas.coverage(lash) * column(face["lash_weight"]) * 0.9, dark)


def draw_eye_shadow(canvas: Canvas, head: Head, face: InnerFace, u, v) -> None:
    """A soft coloured patch between the eye and the brow."""
    hue = face["eye_shadow_hue"]
    colour = hsl(hue, torch.full_like(hue, 0.5), torch.full_like(hue, 0.38)) * head.shade
    patch = 1 - smooth(distance(u / 0.34, (v + 0.10) / 0.18), 0.3, 1.0)
    canvas.tint(patch * head.outline * column(face["eye_shadow"]) * 0.6, colour)


def draw_iris(canvas: Canvas, head: Head, face: InnerFace, scene: Scene, u, v, inside) -> None:
    """Iris, limbus, pupil and catchlight, moved by the gaze and clipped by the lids."""
    aspect = head.height / head.width
    dx = u - EYEBALL * column(torch.deg2rad(scene["gaze_yaw"])).sin()
    dy = (v + EYEBALL * column(torch.deg2rad(scene["gaze_pitch"])).sin() / aspect) * aspect
    radius = distance(dx, dy)
    disc = canvas.coverage((radius - 0.155) * head.width) * inside
    colour = iris_colour(face)
    canvas.tint(disc, colour * 0.45)
    canvas.tint(canvas.coverage((radius - 0.125) * head.width) * inside, colour)
    pupil = canvas.coverage((radius - 0.062) * head.width) * inside
    canvas.tint(pupil, torch.full((1, 3, 1, 1), 0.04))
    glint = distance(dx + 0.055, dy + 0.06) - 0.04
    canvas.tint(canvas.coverage(glint * head.width) * disc * 0.9, torch.ones(1, 3, 1, 1))


def draw_brow(canvas: Canvas, head: Head, face: InnerFace, side: int) -> None:
    """An arched band that thins towards the temple."""
    u = (head.u - side * (column(face["eye_spacing"]) + 0.01)) * side
    reach = 0.33
    profile = (1 - (u / reach) ** 2).clamp(min=0)
    centre = EYE_V - 0.275 - column(face["brow_arch"]) * profile + column(face["brow_tilt"]) * u
    half = column(face["brow_thickness"]) * (0.35 + 0.65 * profile) * (1 - 0.35 * u / reach)
    band = torch.maximum((head.v - centre).abs() - half, u.abs() - reach) * head.height
    colour = hair_colour(face["brow_lightness"] * 0.8, face["brow_warmth"]) * head.shade
    label = FacePart.L_BROW if side < 0 else FacePart.R_BROW
    canvas.paint(canvas.coverage(band) * 0.95, colour, label)


def draw_mouth(canvas: Canvas, head: Head, face: InnerFace, scene: Scene) -> None:
    """Lips around an opening with teeth; the smile lifts and widens the corners."""
    smile = column(scene["smile"])
    half_width = column(face["mouth_width"]) * (1 + 1.2 * smile.clamp(min=0))
    profile = (1 - (head.u / half_width) ** 2).clamp(min=0)
    v = head.v - MOUTH_V + smile * (1 - profile)
    gap = column(scene["mouth_opening"]).clamp(min=0) * profile
    full = column(face["lip_fullness"]) * profile.sqrt()
    bow = 1 - 0.22 * (1 - smooth(head.u.abs(), 0.0, 0.10))
    colour = lip_colour(face) * head.shade
    sides = head.u.abs() - half_width

    def between(top, bottom):
        inside = torch.maximum(torch.maximum(top - v, v - bottom), sides)
        return canvas.coverage(inside * head.height)

    canvas.paint(between(gap * 0, gap + full * 1.15), colour * 1.06, FacePart.L_LIP)
    canvas.paint(between(-gap - full * bow, gap * 0), colour * 0.88, FacePart.U_LIP)
    canvas.paint(between(-gap, gap), torch.full((1, 3, 1, 1), 0.16), FacePart.MOUTH)
    canvas.tint(between(-gap * 0.85, -gap * 0.05) * 0.9, torch.full((1, 3, 1, 1), 0.93))
    seam = canvas.coverage((v.abs() - 0.012) * head.height) * (sides < 0) * (gap < 0.02)
    canvas.tint(seam * 0.6, colour * 0.35)
    shine = 1 - smooth(distance(head.u / 0.12, (v - gap - full * 0.6) / 0.03), 0.2, 1.0)
    canvas.tint(shine * 0.25, torch.ones(1, 3, 1, 1))


def distance(x, y) -> torch.Tensor:
    """Euclidean norm of two coordinates."""
    return (x**2 + y**2).clamp(min=1e-8).sqrt()
