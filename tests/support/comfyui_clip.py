"""CLIP in ComfyUI's own classes, run by ComfyUI's Python: COMFYUI's folder, then this pack's.

Small random networks, loaded in inference mode as the host does, are paired; their vectors must be
those of the host's own way, and the gradient the slope.
"""

from __future__ import annotations

import json
import tempfile
from types import SimpleNamespace

from comfyui_host import load_pack  # which makes ComfyUI importable

# isort: split
import comfy.sd
import comfy.sd1_clip
import torch
import torch.nn.functional as F
from comfy.clip_vision import ClipVisionModel

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "hidden_act": "quick_gelu",
}
PICTURES = {"image_size": 32, "patch_size": 8, "num_channels": 3, "projection_dim": 64}
TEXT = "a face with a beard"


def vision_model():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({**SIZES, **PICTURES, "model_type": "clip_vision_model"}, file)
        file.flush()
        return ClipVisionModel(file.name)


def text_model():
    class SmallClip(comfy.sd1_clip.SDClipModel):
        def __init__(self, device="cpu", dtype=None, model_options=None, **_):
            config = {**SIZES, "max_position_embeddings": 77, "eos_token_id": 49407}
            super().__init__(
                device=device,
                dtype=dtype,
                textmodel_json_config=write(config),
                return_projected_pooled=False,
                model_options=model_options or {},
            )

    def one(device="cpu", dtype=None, model_options=None, **_):
        return comfy.sd1_clip.SD1ClipModel(
            device=device, dtype=dtype, model_options=model_options or {}, clip_model=SmallClip
        )

    target = SimpleNamespace(clip=one, tokenizer=comfy.sd1_clip.SD1Tokenizer, params={})
    return comfy.sd.CLIP(target, model_options={"dtype": torch.float32})


def write(config):
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(config, file)
    return file.name


def fill(module, generator):
    tensors = module.state_dict()
    drawn = {k: torch.randn(v.shape, generator=generator).to(v) * 0.1 for k, v in tensors.items()}
    module.load_state_dict(drawn)


def main():
    load_pack()
    from pack.nodes import host
    from pack.nodes.clip import PairClipModels

    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        vision, clip = vision_model(), text_model()
        fill(vision.model, generator)
        fill(clip.cond_stage_model, generator)
        own = list(vision.model.parameters())
        assert own[0].is_inference()
        (managed,) = PairClipModels.execute(clip=clip, clip_vision=vision).args
        image = torch.randint(256, (2, 32, 32, 3), generator=generator) / 255
        expected = F.normalize(vision.encode_image(image)["image_embeds"], dim=1)
        _, pooled = clip.encode_from_tokens(clip.tokenize(TEXT), return_pooled=True)
        projection = clip.cond_stage_model.clip_l.transformer.text_projection
        wanted = F.normalize(pooled @ projection.weight.T, dim=1)
        with host.on_device(managed):
            x = (image.clone().movedim(-1, 1) * 2 - 1).requires_grad_()
            embedded = managed.model.embed(x)
            (slope,) = torch.autograd.grad(embedded[0, 0], x)
            step = torch.randn(x.shape, generator=generator) * 1e-2
            ends = [managed.model.embed(x.detach() + each)[0, 0] for each in (step, -step)]
            texts = managed.model.embed_texts([TEXT, "a face"])
    torch.testing.assert_close(embedded.detach(), expected.clone(), rtol=0, atol=1e-5)
    torch.testing.assert_close(texts[:1], wanted.clone(), rtol=0, atol=1e-5)
    torch.testing.assert_close((slope * step).sum(), (ends[0] - ends[1]) / 2, rtol=0.02, atol=1e-6)
    assert slope[1].abs().max() == 0 < slope[0].abs().max()
    assert all(a is b for a, b in zip(vision.model.parameters(), own, strict=True))


if __name__ == "__main__":
    main()
