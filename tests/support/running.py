"""Nodes run as the host runs them."""

import torch

from ...nodes import NODES

BY_NAME = {node.__name__: node for node in NODES}
QUICK = {
    "seed": 3,
    "steps": 4,
    "skip": 1,
    "sampler": "ddim",
    "eta": 0.0,
    "candidates": 2,
    "ramp_end": 0.6,
    "keep_background": True,
    "clip_denoised": True,
}


def run(name, **inputs):
    """Execute as the host does: on a locked class, in inference mode."""
    with torch.inference_mode():
        return BY_NAME[name].run(inputs).args


def load(name):
    settings = {"precision": "auto"} if name == "FaceDiffusionModel" else {}
    (hosted,) = run(f"Load{name}", model_name="demo.safetensors", **settings)
    return hosted
