"""Named settings, as data."""

from dataclasses import replace

from .guidance.terms import TermSettings
from .guidance.windows import PercentWindow, StepWindow
from .settings import EditSettings

DIFFFACE = EditSettings()  # whose defaults are the published implementation's

_OFF = TermSettings(0)
_DEMO = EditSettings(  # for the bundled models of 64 pixels
    identity=TermSettings(60),
    parsing=TermSettings(20),
    gaze=TermSettings(40, PercentWindow(0.3, 1.0)),
    pixel=TermSettings(50),
    lpips=TermSettings(100),
    views=2,
    respacing="20",
    skip=2,
    sampler="ddim",
    seed=0,
    ramp_end=0.75,
    clip_denoised=True,
    template="demo",
)

PRESETS = {
    "diffface": DIFFFACE,  # its bugs fixed
    "diffface-exact": replace(  # with its bugs, for parity with published results
        DIFFFACE, gaze=TermSettings(200, StepWindow(10, 50)), exact=True
    ),
    "paper": replace(  # the scales that the paper gives, arXiv 2212.13344
        DIFFFACE, identity=TermSettings(2000), parsing=TermSettings(150)
    ),
    "unconditional": EditSettings(  # for any face U-Net that is given no identity
        identity=TermSettings(200),
        parsing=TermSettings(50),
        gaze=_OFF,
        pixel=_OFF,
        light=TermSettings(10_000),
        views=2,
        respacing="27",
        skip=19,
        start="source",
        sampler="ddim",
        ramp_end=0.0,  # half a mask leaves half the noise, which a small U-Net takes for a blur
        clip_denoised=True,
        gradient="estimate",
        strength=0.2,
        guide_repeats=4,
        guide_blur=0.01,
    ),
    "demo": _DEMO,
    "demo-gaze": replace(  # the eyes alone, free to look elsewhere; the source is the target
        _DEMO,
        gaze=TermSettings(250, PercentWindow(0.0, 1.0)),
        parsing=TermSettings(10),
        identity=_OFF,
        pixel=_OFF,
        lpips=_OFF,
        ramp_end=0.3,
        gradient="estimate",
        parts="l_eye, r_eye",  # and no pixel more: the lids that stay say what shape they have
    ),
}


def preset(name: str) -> EditSettings:
    """Settings by name.

    Args:
        name: One of `PRESETS`: "diffface", "diffface-exact", "paper", "unconditional", "demo" or
            "demo-gaze".

    Raises:
        ValueError: There is no preset of that name.

    Examples:
        >>> preset("demo").sampler
        'ddim'
    """
    if name not in PRESETS:
        raise ValueError(f'preset is "{name}", expected one of: {", ".join(PRESETS)}')
    return PRESETS[name]
