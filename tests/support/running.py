"""Nodes run as the host runs them."""

from functools import cache

import torch

from ...nodes import NODES
from .standin.core import CORE
from .standin.io import WidgetInput

BY_NAME = {node.__name__: node for node in NODES}
QUICK = {  # an edit of three steps
    "seed": 3,
    "steps": 4,
    "skip": 1,
    "sampler": "ddim",
    "candidates": 2,
    "ramp_end": 0.6,
    "clip_denoised": True,
}


def run(name, **inputs):
    """Execute as the host does: on a locked class, in inference mode, with every widget's value."""
    widgets = [each for each in BY_NAME[name].GET_SCHEMA().inputs if isinstance(each, WidgetInput)]
    values = {each.id: each.default for each in widgets if each.default is not None}
    with torch.inference_mode():
        return BY_NAME[name].run({**values, **inputs}).args


def core(name, **inputs):
    """Execute one of the host's own nodes."""
    with torch.inference_mode():
        return CORE[name].run(inputs).args


@cache
def load(name):
    """A bundled model, which is held from then on: whatever else loads it gets the same."""
    (managed,) = run(f"Load{name}", model_name="demo.safetensors")
    return managed


def identity_and_pixel(**identity):
    """A chain of two terms."""
    model = load("IdentityModel")
    (one,) = run("IdentityGuidance", identity_model=model, scale=20.0, views=2, **identity)
    return run("PixelGuidance", guidance=one, scale=20.0)[0]


def sample(pair, mask, embedding, /, **changes):
    """A quick edit of the pair's target: candidates, the best, metrics."""
    wired = {"model": load("FaceDiffusionModel"), "target": pair[1], "mask": mask}
    wired |= {"embedding": embedding, "guidance": identity_and_pixel()}
    return run("GuidedFaceSampler", **{**wired, **QUICK, **changes})


def draw_photo(people=3, frames=1, known="0"):
    """A drawn photo, its faces, and portraits of some of its people."""
    size = {"width": 384, "height": 216}
    return run("DrawDemoPhoto", people=people, frames=frames, known=known, **size)


def embed(images, average=True):
    """The identities in pictures, by the bundled model."""
    model = load("IdentityModel")
    return run("EmbedIdentity", identity_model=model, image=images, average=average)[0]
