"""CLIP as ComfyUI loads it: its socket of texts and its socket of pictures, paired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor, nn

from ..editor_core.face.clip import ClipEncoder
from ..editor_core.images import standardise
from . import sockets
from .host import ManagedModel, lent_parameters, plain_patcher
from .loaders import schema
from .schemas import output, required

PROJECTION = "transformer.text_projection.weight"  # of an encoder of texts
NORMS = ("layer_norm1", "layer_norm2")  # of a block, which adds to its input in place


class PairClipModels(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "PairClipModels",
            "Pairs the CLIP that ComfyUI has for texts with its CLIP Vision for pictures, where "
            "both are of one CLIP.",
            display_name="Pair CLIP Models",
            search_aliases=["clip vision", "text image similarity"],
            inputs=[
                required(
                    io.Clip,
                    "clip",
                    "Of texts, with its projection: CLIP-L, CLIP-H or CLIP-G, alone or within one "
                    "of several encoders, as SDXL's.",
                ),
                required(
                    io.ClipVision,
                    "clip_vision",
                    "Of pictures, of the very same CLIP: ViT-L/14 to CLIP-L, ViT-H/14 to CLIP-H, "
                    "ViT-bigG/14 to CLIP-G.",
                ),
            ],
            outputs=[output(sockets.ClipModel, "clip_model", "For Text Guidance.")],
        )

    @classmethod
    def execute(cls, clip: Any, clip_vision: Any) -> io.NodeOutput:
        letter = text_encoder(clip, vision_width(clip_vision))
        network = VisionTower(clip_vision)
        encoder = ClipEncoder(
            network, partial(encode_texts, clip, letter), clip_vision.image_size, network.normalise
        )
        return io.NodeOutput(ManagedModel(encoder, network.patcher))


class VisionTower(nn.Module):
    """ComfyUI's network of pictures, as something that can be differentiated."""

    def __init__(self, clip_vision: Any) -> None:
        super().__init__()
        self.patcher = plain_patcher(clip_vision.patcher)
        self.levels = clip_vision.image_mean, clip_vision.image_std

    def normalise(self, x: Tensor) -> Tensor:  # (B,3,S,S) in [-1,1]
        """By the mean and deviation of its own training."""
        return standardise(x, *self.levels)

    def forward(self, view: Tensor) -> Tensor:  # (B,3,S,S), normalised -> (B,E)
        network = self.patcher.model
        with lent_parameters(network), cloned_inputs(network):
            return network(pixel_values=view.to(self.patcher.load_device))[2].to(view)


@contextmanager
def cloned_inputs(network: nn.Module) -> Iterator[None]:
    """Give a copy to every norm whose input is changed in place after it, with a backward due."""

    def copy(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(each.clone() for each in inputs)

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if name.rpartition(".")[2] in NORMS:
                stack.callback(module.register_forward_pre_hook(copy).remove)
        yield


def vision_width(clip_vision: Any) -> int:
    """How many numbers a picture's vector has; `ValueError` where it has none beside texts."""
    projection = getattr(clip_vision.model, "visual_projection", None)
    if projection is None or not hasattr(projection, "weight"):
        raise ValueError(
            f"clip_vision is {type(clip_vision.model).__name__} without a projection beside "
            "texts, expected CLIP: load CLIP-ViT-L/14, ViT-H/14 or ViT-bigG/14"
        )
    return len(projection.weight)


def text_encoder(clip: Any, width: int) -> str:
    """The letter of the CLIP's encoder whose texts have vectors of that many numbers.

    Raises:
        ValueError: None has, or it has no projection: Stable Diffusion 1's files leave it out.
    """
    encoders = {
        name.removeprefix("clip_"): module.get_parameter(PROJECTION)
        for name, module in clip.cond_stage_model.named_children()
        if PROJECTION in dict(module.named_parameters())
    }
    fitting = [letter for letter, weight in encoders.items() if len(weight) == width]
    if not fitting:
        widths = ", ".join(f"CLIP-{k.upper()} {len(w)}" for k, w in encoders.items()) or "no CLIP"
        raise ValueError(
            f"clip_vision's vectors have {width} numbers, those of clip: {widths}; load the two "
            "of one CLIP: 768 is ViT-L/14, 1024 ViT-H/14, 1280 ViT-bigG/14"
        )
    if not is_projection(encoders[fitting[0]]):
        raise ValueError(
            f"CLIP-{fitting[0].upper()} has no text projection, as in the checkpoints of Stable "
            "Diffusion 1: load a text encoder file that has text_projection.weight, or use Load "
            "CLIP Model"
        )
    return fitting[0]


def is_projection(weight: Tensor) -> bool:
    """Whether numbers can be a trained projection: not zeros, not the identity, not garbage."""
    weight = weight.float()
    spread = weight.std().item()
    same = torch.equal(weight, torch.eye(len(weight), device=weight.device))
    return 1e-4 < spread < 1 and not same  # false too for NaN


def encode_texts(clip: Any, letter: str, texts: Sequence[str]) -> Tensor:  # k texts -> (k,E)
    """The projected vectors of texts, by one of the CLIP's encoders; prompts' weights count."""
    clip.load_model()
    encoder = getattr(clip.cond_stage_model, f"clip_{letter}")
    options = {"projected_pooled": True, "execution_device": clip.patcher.load_device}
    encoder.set_clip_options(options)
    try:
        pooled = [encoder.encode_token_weights(clip.tokenize(text)[letter])[1] for text in texts]
    finally:
        encoder.reset_clip_options()
    return torch.cat(pooled).float()
