"""CLIP as the transformers library makes it (Radford et al. 2021, arXiv 2103.00020).

Only numbers go into its configuration: sizes from the tensors, the rest from `config.json`. Nothing
else of that file is read, for a name in it could have the library fetch code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .configs import StateDict, count_children

HEAD_WIDTH = 64  # of the published networks, where no file tells
ACTIVATIONS = ("quick_gelu", "gelu")
POSITIONS = "position_ids"  # 0, 1, ...: some files hold them as a tensor


@dataclass(frozen=True)
class TowerConfig:
    """What shapes the transformer of the pictures or that of the texts."""

    width: int
    hidden: int  # width within a block's two layers
    layers: int
    heads: int
    activation: str = "quick_gelu"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"hidden_act is {self.activation}, expected {' or '.join(ACTIVATIONS)}: choose "
                "another model"
            )
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(
                f"num_attention_heads is {self.heads}, expected a divisor of {self.width}: fetch "
                "the config.json that belongs to the file"
            )

    @classmethod
    def from_state_dict(cls, tensors: StateDict, tower: str, config: Mapping[str, Any]):
        """The tower of that name, with what its part of `config.json` says besides the tensors."""
        layers = f"{tower}.encoder.layers"
        hidden, width = tensors[f"{layers}.0.mlp.fc1.weight"].shape
        return cls(
            width,
            hidden,
            count_children(tensors, layers),
            int(config.get("num_attention_heads", max(width // HEAD_WIDTH, 1))),
            str(config.get("hidden_act", cls.activation)),
            float(config.get("layer_norm_eps", cls.eps)),
        )

    def as_transformers(self) -> dict[str, Any]:
        """The fields under the library's names."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "hidden_act": self.activation,
            "layer_norm_eps": self.eps,
        }


@dataclass(frozen=True)
class ClipConfig:
    """What shapes both networks of CLIP."""

    vision: TowerConfig
    text: TowerConfig
    embedding: int  # numbers of a vector that pictures and texts share
    image_size: int  # pixels
    patch: int  # pixels
    vocabulary: int
    context: int  # tokens of a text, at most
    end: int = 2  # the token that ends a text; 2, of old files, stands for the highest

    @classmethod
    def from_state_dict(cls, tensors: StateDict, config: Mapping[str, Any]) -> ClipConfig:
        """Sizes from the tensors, without `position_ids`; the rest from `config.json`."""
        seen, read = (dict(config.get(f"{each}_config") or {}) for each in ("vision", "text"))
        patch = tensors["vision_model.embeddings.patch_embedding.weight"].shape[-1]
        places = len(tensors["vision_model.embeddings.position_embedding.weight"]) - 1
        return cls(
            TowerConfig.from_state_dict(tensors, "vision_model", seen),
            TowerConfig.from_state_dict(tensors, "text_model", read),
            len(tensors["visual_projection.weight"]),
            patch * math.isqrt(places),
            patch,
            len(tensors["text_model.embeddings.token_embedding.weight"]),
            len(tensors["text_model.embeddings.position_embedding.weight"]),
            int(read.get("eos_token_id", cls.end)),
        )


class Clip(nn.Module):
    """The library's CLIPModel: pictures as a network takes them, and texts beside."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config, self.clip = config, transformers_clip(config)

    def forward(self, view: Tensor) -> Tensor:  # (B,3,S,S), normalised -> (B,E)
        """The vectors of pictures, not to unit length."""
        return self.clip.visual_projection(self.clip.vision_model(pixel_values=view).pooler_output)

    def embed_tokens(self, tokens: Tensor, mask: Tensor) -> Tensor:  # (k,n), (k,n) -> (k,E)
        """The vectors of texts, not to unit length; the mask is 0 past their ends."""
        pooled = self.clip.text_model(input_ids=tokens, attention_mask=mask).pooler_output
        return self.clip.text_projection(pooled)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        for module in self.modules():  # made on no device, and in no file
            if POSITIONS in module._buffers:
                count = getattr(module, POSITIONS).shape[-1]
                setattr(module, POSITIONS, torch.arange(count)[None])


def transformers_clip(config: ClipConfig) -> Any:
    """The library's module of those sizes."""
    from transformers import CLIPConfig, CLIPModel  # pyright: ignore[reportMissingImports]

    sizes: dict[str, Any] = {
        "projection_dim": config.embedding,
        "attn_implementation": "sdpa",
        "vision_config": {
            **config.vision.as_transformers(),
            "image_size": config.image_size,
            "patch_size": config.patch,
        },
        "text_config": {
            **config.text.as_transformers(),
            "vocab_size": config.vocabulary,
            "max_position_embeddings": config.context,
            "eos_token_id": config.end,
        },
    }
    return CLIPModel(CLIPConfig(**sizes))


def clip_tensors(tensors: StateDict) -> StateDict:
    """The tensors of `Clip`, out of those of a file."""
    return {f"clip.{key}": t for key, t in tensors.items() if not key.endswith(POSITIONS)}
