"""Small CLIPs: one of drawn towers for the terms, and one as transformers publishes it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...editor_core.face.clip import ClipEncoder
from ...editor_core.models.configs import StateDict
from ...nodes.host import ManagedModel
from .tiny import seeded

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
CONFIG = {
    "model_type": "clip",
    "projection_dim": 8,
    "vision_config": {**SIZES, "image_size": 32, "patch_size": 8, "hidden_act": "gelu"},
    "text_config": {**SIZES, "hidden_act": "quick_gelu", "eos_token_id": 2},
}
CONTEXT = 16  # tokens
END = "</w>"
WEIGHTS = "model.safetensors"


@cache
def tiny_clip() -> ClipEncoder:
    """A random network of pictures, and texts whose vectors depend on their letters alone."""
    network = seeded(lambda: nn.Sequential(nn.Conv2d(3, 6, 8, 4), nn.GELU(), nn.Flatten(), head()))
    return ClipEncoder(network, letters, size=32)


def managed_clip() -> ManagedModel[ClipEncoder]:
    """The same in single precision, as a loader node gives it."""
    network = copy.deepcopy(tiny_clip().network).float()
    return ManagedModel.of(replace(tiny_clip(), network=network), network)


def head() -> nn.Module:
    return nn.Linear(6 * 7 * 7, 8, bias=False)


def letters(texts) -> Tensor:  # k texts -> (k,8)
    drawn = (torch.Generator().manual_seed(sum(map(ord, text))) for text in texts)
    return torch.stack([torch.randn(8, generator=each, dtype=torch.float64) for each in drawn])


def tokenizer_files() -> tuple[dict[str, int], list[str]]:
    """CLIP's byte-level vocabulary with the merges of one word."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [",", "-"]
    merges = ["b e", "be a", "bea r", f"bear d{END}"]
    names = [*letters, *(f"{each}{END}" for each in letters)]
    names += [merge.replace(" ", "") for merge in merges]
    names += ["<|startoftext|>", "<|endoftext|>"]
    return {name: k for k, name in enumerate(names)}, merges


def clip_model():
    """A small random CLIPModel of transformers, in evaluation mode."""
    from transformers import CLIPConfig, CLIPModel

    vocabulary, _ = tokenizer_files()
    text = {**CONFIG["text_config"], "vocab_size": len(vocabulary)}
    config = CLIPConfig(
        text_config={**text, "max_position_embeddings": CONTEXT},
        vision_config=CONFIG["vision_config"],
        projection_dim=CONFIG["projection_dim"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config).eval().requires_grad_(False)
        for parameter in model.parameters():  # else zero biases and unit gains would hide mistakes
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save_clip(folder: Path, tensors: StateDict, **config) -> Path:
    """A folder as the library publishes it: weights, config.json and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = tokenizer_files()
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    save_file({name: each.contiguous() for name, each in tensors.items()}, folder / WEIGHTS)
    return folder
