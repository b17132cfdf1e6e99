"""The expression of a face: its contours in the head's own axes, and named blendshapes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..declare import check, setting
from .head import fit_head, head_centre
from .landmarks import BLENDSHAPES, CONTOURS

EXPRESSIVE = ("left eye", "right eye", "left brow", "right brow", "outer lips", "inner lips")
EXPRESSION_POINTS = tuple(point for part in EXPRESSIVE for point in CONTOURS[part])

SLIDERS = {  # the expressions that people set, by ARKit's names
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "frown": ("mouthFrownLeft", "mouthFrownRight"),
    "jaw_open": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "press_lips": ("mouthPressLeft", "mouthPressRight"),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "squint": ("eyeSquintLeft", "eyeSquintRight"),
    "eyes_wide": ("eyeWideLeft", "eyeWideRight"),
    "brow_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brow_down": ("browDownLeft", "browDownRight"),
    "cheek_puff": ("cheekPuff",),
    "sneer": ("noseSneerLeft", "noseSneerRight"),
}


def expression_of(points: Tensor) -> Tensor:  # (B,478,3) -> (B,K,2)
    """The contours of eyes, brows and mouth, seen as if the head looked at the camera, in cm.

    They are turned by the head's pose and measured in its size, so that they stay what they are
    wherever the head is and however it turns; differentiable.
    """
    pose, scale = fit_head(points)
    local = (points[:, EXPRESSION_POINTS] - head_centre(points)) @ pose
    return local[..., :2] / scale[:, None, None]


def _slider(help: str) -> float:
    about = f"{help}: 0 not at all, 1 fully. Below 0 it is left free."
    return setting(-1.0, about, low=-1.0, high=1.0, step=0.05)


@dataclass(frozen=True)
class ExpressionGoal:
    """How far an edit shows some expressions; what is not named is free.

    Raises:
        ValueError: A value is out of its range, or a name is no blendshape's.

    Examples:
        >>> goal = ExpressionGoal(smile=0.8, more="tongueOut=0")
        Traceback (most recent call last):
        ValueError: there is no blendshape "tongueOut", expected ARKit's names, as jawOpen=0.3
        >>> int(ExpressionGoal(smile=0.8, more="jawLeft=0.2").asked().isfinite().sum())
        3
    """

    smile: float = _slider("Corners of the mouth up")
    frown: float = _slider("Corners of the mouth down")
    jaw_open: float = _slider("Jaw open")
    pucker: float = _slider("Lips pushed out, as for a kiss")
    press_lips: float = _slider("Lips pressed together")
    blink: float = _slider("Lids closed")
    squint: float = _slider("Eyes narrowed")
    eyes_wide: float = _slider("Eyes wide open")
    brow_up: float = _slider("Brows raised")
    brow_down: float = _slider("Brows lowered")
    cheek_puff: float = _slider("Cheeks blown up")
    sneer: float = _slider("Sides of the nose raised")
    more: str = setting("", "Others of ARKit's blendshapes by name, as jawLeft=0.3, mouthRight=0.")

    def __post_init__(self) -> None:
        check(self)
        self.asked()

    def asked(self) -> Tensor:  # -> (1,52)
        """The value of each of `BLENDSHAPES`, NaN where it is free."""
        sliders = ((SLIDERS[name], getattr(self, name)) for name in SLIDERS)
        values = {each: value for names, value in sliders if value >= 0 for each in names}
        values |= blendshapes_in(self.more)
        return torch.tensor([[values.get(name, torch.nan) for name in BLENDSHAPES]])


def blendshapes_in(text: str) -> dict[str, float]:
    """`"jawOpen=0.3, jawLeft=0"` -> values by name."""
    values = {}
    for part in filter(str.strip, text.split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in BLENDSHAPES[1:]:
            raise ValueError(
                f'there is no blendshape "{name}", expected ARKit\'s names, as jawOpen=0.3'
            )
        values[name] = _number(name, value, "jawOpen=0.3")
    return values


def _number(name: str, text: str, example: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{name} is "{text}", expected a number, as {example}') from None


def goal_in(text: str) -> ExpressionGoal:
    """`"smile=0.8, jawLeft=0.2"` -> the goal; names are those of `SLIDERS` or ARKit's."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    sliders = [part for part in parts if part.partition("=")[0].strip() in SLIDERS]
    named = (part.partition("=") for part in sliders)
    values = {name.strip(): _number(name, value, "smile=0.8") for name, _, value in named}
    return ExpressionGoal(more=", ".join(part for part in parts if part not in sliders), **values)
