"""The settings of an edit: data alone, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .declare import check, setting, shared
from .face.clip import TextWish
from .face.expression import ExpressionGoal
from .face.gaze import GazeGoal
from .face.templates import TEMPLATES
from .guidance.terms import TermSettings
from .guidance.views import RandomViews
from .guidance.windows import PercentWindow

SET_EXPRESSION = TermSettings(300)
"""What the blendshapes term weighs where somebody asks for an expression."""


@dataclass(frozen=True)
class EditSettings:
    """The numbers of an edit; the defaults are DiffFace's (arXiv 2212.13344).

    Raises:
        ValueError: A value is below its bound, or none of its choices.

    Examples:
        >>> settings = EditSettings(identity=TermSettings(2000), candidates=1)
        >>> settings.parsing.scale, settings.respacing
        (200, '100')
    """

    identity: TermSettings = TermSettings(6000)
    parsing: TermSettings = TermSettings(200)
    gaze: TermSettings = TermSettings(200, PercentWindow(0.5, 0.9))
    pixel: TermSettings = TermSettings(50)
    lpips: TermSettings = TermSettings(0)
    gaze_goal: GazeGoal = GazeGoal()
    light: TermSettings = TermSettings(0)
    expression: TermSettings = TermSettings(0)
    blendshapes: TermSettings = TermSettings(0)
    expression_goal: ExpressionGoal = ExpressionGoal()
    text: TermSettings = TermSettings(0)
    wish: TextWish = TextWish()
    views: int = shared(RandomViews, "copies")
    respacing: str = setting(
        "100",
        "Steps of the whole schedule, of which skip are left out: a number, one for each section "
        "as 10,10,10, or ddim25. More is finer and slower.",
    )
    skip: int = setting(
        25, "The noisiest steps left out: more keeps more of the target.", low=0, high=999
    )
    start: Literal["target", "source"] = setting(
        "target",
        "What is noised. source: its face laid over the target's, turned and coloured like it, so "
        "that its lines stay where little noise is added; fitted by a face landmarker, where there "
        "is one.",
        choices=("target", "source"),
    )
    sampler: Literal["ddpm", "ddim"] = setting(
        "ddpm",
        "ddpm adds noise at every step; ddim does with fewer steps.",
        choices=("ddpm", "ddim"),
    )
    eta: float = setting(
        0.0,
        "Noise of ddim: 0 none, 1 as much as ddpm.",
        low=0.0,
        high=1.0,
        step=0.05,
        advanced=True,
    )
    seed: int = setting(404, "Of the first edit; each further candidate and target takes the next.")
    candidates: int = setting(
        4, "Edits of each target, made at once and ranked by identity distance.", low=1, high=64
    )
    ramp_end: float = setting(
        0.7,
        "When the whole mask is free: it opens slowly until here, 0 being pure noise and 1 the "
        "finished picture. Later blends more softly.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    parts: str = setting(
        "face",
        "Parts of the target that are edited where no mask is given: face, or as l_eye, r_eye.",
    )
    grow: int = setting(0, "Pixels by which the mask grows outwards.", low=0, high=256)
    feather: float = setting(
        0.0,
        "Pixels (sigma) by which its edge is blurred; more blends more softly.",
        low=0.0,
        high=128.0,
        step=0.5,
    )
    keep_parts: str = setting(
        "eye_glasses, hair, hat",
        "Parts that lie before the face: the parsed mask never grows over them. Empty: over all.",
    )
    keep_background: bool = setting(
        True,
        "Off: the final mask is the face of the edit itself, as the parser of Parsing Guidance "
        "sees it; where it sees none, the target stays.",
    )
    clip_denoised: bool = setting(
        False,
        "Hold each prediction within the range of pictures; steadier where steps are few.",
        advanced=True,
    )
    gradient: Literal["network", "estimate"] = setting(
        "network",
        "network: through the U-Net. estimate: taken at the prediction, up to twice as fast and "
        "with less memory, another result.",
        choices=("network", "estimate"),
    )
    strength: float = setting(
        0.0,
        "Length of a step's guidance as a share of the prediction's own, times the noise left: the "
        "scales then only weigh the terms against each other, whatever the model. 0: the scales "
        "alone.",
        low=0.0,
        high=2.0,
        step=0.005,
    )
    guide_repeats: int = setting(
        1,
        "Moves that a step's guidance is divided into, each at the picture that the last one left; "
        "the U-Net runs once. More follows the terms more closely, and takes their time so many "
        "times. More than 1 needs a strength and the gradient estimate.",
        low=1,
        high=16,
        advanced=True,
    )
    guide_blur: float = setting(
        0.0,
        "Sigma of a blur of these moves, as a share of the picture's side; colours are blurred 8 "
        "times as far. Some keeps lines and tints out of the face that convince an encoder and "
        "nobody else. Needs a strength and the gradient estimate.",
        low=0.0,
        high=0.1,
        step=0.001,
        advanced=True,
    )
    guide_every: int = setting(
        1, "Guide one step in so many: more is faster and pulls less.", low=1, high=100
    )
    recurrence: int = setting(
        1,
        "Times that each step is taken, its sample noised anew in between: mends what guidance "
        "tears, and takes as many times as long.",
        low=1,
        high=16,
        advanced=True,
    )
    memory: Literal["normal", "low"] = setting(
        "normal",
        "low: the U-Net is computed again for its gradient, which takes less memory and about a "
        "third more time. The same result.",
        choices=("normal", "low"),
        advanced=True,
    )
    noise: Literal["per image", "per person"] = setting(
        "per image",
        "per person: a face that Track Faces knows has the same noise in all frames, so that a "
        "clip flickers less.",
        choices=("per image", "per person"),
        advanced=True,
    )
    template: str = setting(
        "ffhq",
        "What the diffusion model's pictures were aligned to: how faces are cut out of photos.",
        choices=tuple(TEMPLATES),
    )
    exact: bool = setting(
        False, "Run the published implementation, its bugs included (`reference/`)."
    )

    def __post_init__(self) -> None:
        check(self)
        moves = bool(self.strength) and self.gradient == "estimate"
        for name, unused in (("guide_repeats", 1), ("guide_blur", 0.0)):
            if not moves and (value := getattr(self, name)) != unused:
                raise ValueError(
                    f"{name} is {value:g} with strength {self.strength:g} and the gradient "
                    f'"{self.gradient}", expected {unused:g}: set a strength and the gradient '
                    f"estimate, or {name} {unused:g}"
                )
