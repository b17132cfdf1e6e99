"""Named settings, as data."""

from dataclasses import replace

from .guidance.terms import PercentWindow
from .reference import StepWindow, exact
from .settings import EditSettings, TermSettings

DIFFFACE = EditSettings(
    identity=TermSettings(6000),
    parsing=TermSettings(200),
    gaze=TermSettings(200, PercentWindow(0.5, 0.9)),
    pixel=TermSettings(50),
    lpips=TermSettings(0),
    views=8,
    respacing="100",
    skip=25,
    sampler="ddpm",
    candidates=4,
    ramp_end=0.7,
)

PRESETS = {
    "diffface": DIFFFACE,  # the published implementation's numbers, its bugs fixed
    "diffface-exact": replace(  # those numbers with its bugs, for parity with published results
        DIFFFACE, gaze=TermSettings(200, StepWindow(10, 50)), behaviour=exact()
    ),
    "paper": replace(  # the scales of the paper, arXiv 2212.13344
        DIFFFACE,
        identity=TermSettings(2000),
        parsing=TermSettings(150),
        gaze=TermSettings(200, PercentWindow(0.5, 0.9)),
    ),
}


def preset(name: str) -> EditSettings:
    """The settings of that name."""
    if name not in PRESETS:
        raise ValueError(f'preset is "{name}", expected one of: {", ".join(PRESETS)}')
    return PRESETS[name]
