"""Guidance on ComfyUI's own families, run by its Python: COMFYUI's folder, then this pack's.

The models are small or as large as the family must be, with random weights: what a step needs of
them is a graph, not a face. A row for each thing that was tried: the squared difference of the
decoded picture to a target without guidance and with it, which has to fall.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from comfyui_host import load_pack  # which makes ComfyUI importable

# isort: split
import comfy.ldm.flux.model as flux
import comfy.ldm.modules.diffusionmodules.mmdit as mmdit
import comfy.ops
import comfy.sd
import comfy.utils
import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

import nodes as core

SIZE, STEPS, STRENGTH = 64, 4, 0.5
LAYERS = comfy.ops.disable_weight_init
NUMBERS = torch.Generator().manual_seed(0)


@dataclass
class Family:
    """A model with what it is told, and the decoder of its latents."""

    name: str
    weights: dict[str, Tensor]
    context: tuple[int, int, int]  # length and width of the text, width of its pooled vector

    def load(self, **options: Any) -> Any:
        """The MODEL, found from its shapes as ComfyUI finds it."""
        return comfy.sd.load_diffusion_model_state_dict(dict(self.weights), options)

    def conditioning(self) -> tuple[Any, Any]:
        """Some words, and none."""
        length, width, pooled = self.context
        words = torch.randn(1, length, width, generator=NUMBERS)
        known = {"pooled_output": torch.randn(1, pooled, generator=NUMBERS), "guidance": 3.5}
        none = {"pooled_output": torch.zeros(1, pooled), "guidance": 3.5}
        return [[words, known]], [[words * 0, none]]


def random_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights with which signals neither die nor grow."""
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            scale = 0.02 if value.ndim < 2 else 0.5 / max(value[0].numel(), 1) ** 0.5
            value.copy_(torch.randn(value.shape, generator=NUMBERS) * scale)
            if name.endswith(("scale", "norm.weight", "norm1.weight", "norm2.weight")):
                value.add_(1)
    return {name: value.clone() for name, value in network.state_dict().items()}


def sd3() -> Family:
    text = {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 128}}
    network = mmdit.MMDiT(
        in_channels=16, patch_size=2, depth=2, input_size=None, adm_in_channels=2048,
        context_embedder_config=text, num_patches=1024, pos_embed_max_size=32, qk_norm="rms",
        pos_embed_scaling_factor=None, x_block_self_attn_layers=[], device="cpu",
        dtype=torch.float32, operations=LAYERS,
    )  # fmt: skip
    return Family("SD3", random_weights(network), (8, 4096, 2048))


def flux_dev() -> Family:
    newer = {"txt_ids_dims": []} if "txt_ids_dims" in flux.FluxParams.__annotations__ else {}
    network = flux.Flux(
        image_model="flux", in_channels=16, out_channels=16, vec_in_dim=768, context_in_dim=4096,
        hidden_size=256, mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=2,
        axes_dim=[16, 56, 56], theta=10000, patch_size=2, qkv_bias=True, guidance_embed=True,
        dtype=torch.float32, device="cpu", operations=LAYERS, **newer,
    )  # fmt: skip
    return Family("Flux", random_weights(network), (16, 4096, 768))


def cast_at_every_layer(model: Any) -> Any:
    """As `--lowvram` runs a model: weights are cast while a layer runs."""
    for layer in model.model.diffusion_model.modules():
        if hasattr(layer, "comfy_cast_weights"):
            layer.comfy_cast_weights = True
    return model


def with_lora(model: Any) -> Any:
    """With a change of two weights that ComfyUI adds when it loads the model."""
    weights = {k: v for k, v in model.model.state_dict().items() if k.endswith("qkv.weight")}
    other = model.clone()
    changes = {k: (torch.randn(v.shape, generator=NUMBERS) * 0.01,) for k, v in weights.items()}
    assert other.add_patches(changes, 1.0)
    return other


Ways = dict[str, tuple[Callable[[Family], Any], dict[str, Any]]]
WAYS: Ways = {
    "estimate": (Family.load, {}),
    "estimate, cfg 3": (Family.load, {"cfg": 3.0}),
    "estimate, dpmpp_2m": (Family.load, {"sampler": "dpmpp_2m"}),
    "estimate, fp8": (lambda family: family.load(dtype=torch.float8_e4m3fn), {}),
    "estimate, LoRA": (lambda family: with_lora(family.load()), {}),
    "estimate, cast at every layer": (lambda family: cast_at_every_layer(family.load()), {}),
    "network": (Family.load, {"gradient": "network"}),
    "network, cfg 3": (Family.load, {"gradient": "network", "cfg": 3.0}),
    "network, fp8": (
        lambda family: family.load(dtype=torch.float8_e4m3fn),
        {"gradient": "network"},
    ),
    "network, LoRA": (lambda family: with_lora(family.load()), {"gradient": "network"}),
    "network, cast at every layer": (
        lambda family: cast_at_every_layer(family.load()),
        {"gradient": "network"},
    ),
}


def rows(family: Family, apply: Callable[..., Any], chain: Any) -> Iterator[dict[str, Any]]:
    """What came of every way to guide a family."""
    vae = comfy.sd.VAE(sd=random_weights(TAESD(latent_channels=16)) | SHIFTS)
    target = torch.rand(1, SIZE, SIZE, 3, generator=NUMBERS)
    words = family.conditioning()

    def distance(model: Any, sampler: str, cfg: float) -> float:
        latent = {"samples": torch.zeros(1, 16, SIZE // 8, SIZE // 8)}
        (drawn,) = core.common_ksampler(model, 1, STEPS, cfg, sampler, "simple", *words, latent)
        return (vae.decode(drawn["samples"]) - target).square().mean().item()

    for way, (load, changes) in WAYS.items():
        settings = {"gradient": "estimate", "sampler": "euler", "cfg": 1.0, **changes}
        run = settings.pop("sampler"), settings.pop("cfg")
        try:
            model = load(family)
            given = {"strength": STRENGTH, "guide_every": 1, **settings}
            guided = apply(model, vae, chain, target, **given).args[0]
            found = {"free": distance(model, *run), "guided": distance(guided, *run)}
        except Exception as error:  # the row says what cannot be
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        yield {"family": family.name, "way": way, **found}


SHIFTS = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}


def main() -> None:
    load_pack()
    from pack.editor_core.guidance.terms import PixelTerm
    from pack.nodes.guidance import Chain
    from pack.nodes.native import ApplyFaceGuidance

    comfy.utils.PROGRESS_BAR_ENABLED = False
    chain = Chain((PixelTerm(scale=1.0),))
    for make in (sd3, flux_dev):
        with torch.inference_mode():
            for row in rows(make(), ApplyFaceGuidance.execute, chain):
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
