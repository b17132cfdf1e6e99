"""The nodes that bring CLIP: a folder's, and the one that ComfyUI has loaded."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from guided_face_edit.nodes import host
from guided_face_edit.nodes.host import lent_parameters
from guided_face_edit.tests.support.clip import clip_model, managed_clip, save_clip
from guided_face_edit.tests.support.running import run, sample
from guided_face_edit.tests.support.standin.modules import ModelPatcher

LEVELS = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
WISH = {"prompt": "a beard\nblond hair", "negative_prompt": "a face"}


class Block(nn.Module):
    """As a block of ComfyUI's CLIP: it adds to its input in place."""

    def __init__(self, width):
        super().__init__()
        self.layer_norm1, self.mlp = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        x += self.mlp(self.layer_norm1(x))
        return x


class Vision(nn.Module):
    """A network of pictures behind the host's interface."""

    def __init__(self, width):
        super().__init__()
        self.patches, self.block = nn.Conv2d(3, 6, 8, 8), Block(6)
        self.visual_projection = nn.Linear(6, width, bias=False)

    def forward(self, pixel_values):
        x = self.block(self.patches(pixel_values).flatten(2).mT + 0)
        return x, None, self.visual_projection(x.mean(1)), None


class Text(nn.Module):
    """An encoder of texts behind the host's interface: the vector of a text is its projection."""

    def __init__(self, width):
        super().__init__()
        self.transformer = nn.Module()
        self.transformer.text_projection = nn.Linear(width, width, bias=False)
        self.reset_clip_options()

    def set_clip_options(self, options):
        self.projected = options["projected_pooled"]

    def reset_clip_options(self):
        self.projected = False

    def encode_token_weights(self, tokens):
        x = torch.full((1, self.transformer.text_projection.in_features), float(tokens)).cos()
        return None, self.transformer.text_projection(x) if self.projected else x


def vision_of(width=8):
    """As the host loads it: in inference mode, with weights that ask for gradients."""
    with torch.inference_mode():
        model = Vision(width)
    patcher = ModelPatcher(model, torch.device("cpu"), None)
    mean, std = LEVELS
    return SimpleNamespace(
        model=model, patcher=patcher, image_size=32, image_mean=mean, image_std=std
    )


def clip_of(**widths):
    """Encoders by their letters."""
    with torch.inference_mode():
        model = nn.ModuleDict({f"clip_{k}": Text(width) for k, width in widths.items()})
        model["t5xxl"] = nn.Linear(1, 1)
    for letter in widths:
        setattr(model, f"clip_{letter}", model[f"clip_{letter}"])
    return SimpleNamespace(
        cond_stage_model=model,
        patcher=SimpleNamespace(load_device=torch.device("cpu")),
        load_model=lambda: None,
        tokenize=lambda text: {letter: len(text) for letter in widths},
    )


def test_the_hosts_clip_is_paired_and_guides(pair, mask, embedding):
    clip, vision = clip_of(l=8, g=12), vision_of(12)
    (managed,) = run("PairClipModels", clip=clip, clip_vision=vision)
    (chain,) = run("TextGuidance", clip_model=managed, scale=20.0, margin=2.0, **WISH)
    assert chain.models == (managed,) and managed.patcher is vision.patcher
    assert chain.terms[0].texts.shape == (2, 12)
    *_, metrics = sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert len(metrics.series["text"]) == 3


def test_the_pairs_vectors_are_the_hosts(generator):
    clip, vision = clip_of(l=8), vision_of()
    (managed,) = run("PairClipModels", clip=clip, clip_vision=vision)
    image = torch.rand(2, 3, 32, 32, generator=generator)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in LEVELS)
    with torch.inference_mode():
        expected = vision.model((image - mean) / std)[2]
        text = clip.cond_stage_model.clip_l
        text.set_clip_options({"projected_pooled": True})
        wanted = text.encode_token_weights(len("a face"))[1]
        text.reset_clip_options()
    embedded = managed.model.embed(image * 2 - 1)
    torch.testing.assert_close(embedded, F.normalize(expected, dim=1).clone())
    texts = managed.model.embed_texts(["a face"])
    torch.testing.assert_close(texts, F.normalize(wanted, dim=1).clone())
    assert not clip.cond_stage_model.clip_l.projected


def test_the_hosts_weights_are_lent_and_put_back():
    network = vision_of().model
    own = list(network.parameters())
    assert all(each.is_inference() and each.requires_grad for each in own)
    with lent_parameters(network):
        lent = lent_of(network)
        assert not any(each.is_inference() or each.requires_grad for each in lent)
        assert [each.data_ptr() for each in lent] == [each.data_ptr() for each in own]
    assert all(a is b for a, b in zip(network.parameters(), own, strict=True))


def lent_of(network):
    held = (each for module in network.modules() for each in module._parameters.values())
    return [each for each in held if each is not None]


def test_the_gradient_of_the_hosts_network_is_the_slope(generator):
    (managed,) = run("PairClipModels", clip=clip_of(l=8), clip_vision=vision_of())
    image = torch.rand(1, 3, 32, 32, generator=generator).requires_grad_()
    step = torch.randn(image.shape, generator=generator) * 1e-2
    with host.on_device(managed):
        (slope,) = torch.autograd.grad(managed.model.embed(image)[0, 0], image)
        ends = [managed.model.embed(image.detach() + each)[0, 0] for each in (step, -step)]
    torch.testing.assert_close((slope * step).sum(), (ends[0] - ends[1]) / 2, rtol=0.02, atol=1e-6)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"l": 16}, "clip_vision's vectors have 8 numbers, those of clip: CLIP-L 16; load the two"),
        ({}, "those of clip: no CLIP"),
    ],
)
def test_encoders_of_two_clips_are_refused(widths, message):
    with pytest.raises(ValueError, match=message):
        run("PairClipModels", clip=clip_of(**widths), clip_vision=vision_of())


def test_networks_without_a_projection_are_refused():
    clip, vision = clip_of(l=8), vision_of()
    with torch.inference_mode():
        clip.cond_stage_model.clip_l.transformer.text_projection.weight.copy_(torch.eye(8))
    with pytest.raises(ValueError, match="CLIP-L has no text projection, as in the checkpoints of"):
        run("PairClipModels", clip=clip, clip_vision=vision)
    vision.model.visual_projection = nn.Identity()
    with pytest.raises(ValueError, match="clip_vision is Vision without a projection"):
        run("PairClipModels", clip=clip, clip_vision=vision)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": " \n"}, "prompt is empty, expected what the edit should show"),
        ({"negative_prompt": ""}, "negative_prompt has 0 lines, prompt has 2: write one line"),
        ({"negative_prompt": "a\nb\nc"}, "negative_prompt has 3 lines, prompt has 2"),
    ],
)
def test_a_wish_needs_its_words(change, message):
    with pytest.raises(ValueError, match=message):
        run("TextGuidance", clip_model=managed_clip(), scale=1.0, **{**WISH, **change})


def test_a_scale_of_0_needs_no_words():
    (chain,) = run("TextGuidance", clip_model=managed_clip(), scale=0.0)
    assert not chain.terms


def test_a_folder_of_transformers_is_loaded(folders, pair, mask, embedding):
    pytest.importorskip("transformers")
    save_clip(Path(folders.models_dir, "face_edit", "clip", "tiny"), clip_model().state_dict())
    (managed,) = run("LoadClipModel", model_name="tiny/model.safetensors")
    (chain,) = run("TextGuidance", clip_model=managed, scale=20.0, margin=2.0, **WISH)
    *_, metrics = sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert len(metrics.series["text"]) == 3
