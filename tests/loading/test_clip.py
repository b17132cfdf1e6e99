"""CLIP of a folder of transformers: the same vectors as by the library's own way."""

import json
from importlib.util import find_spec

import pytest
import torch

from guided_face_edit.editor_core.checkpoints.errors import MissingModel, UnsupportedCheckpoint
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_clip
from guided_face_edit.tests.support.clip import CONFIG, CONTEXT, clip_model, save_clip

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers")
TEXTS = ["a face with a beard", "beard, " * CONTEXT, "a"]


@pytest.fixture(scope="module")
def published():
    return clip_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, published):
    path = tmp_path_factory.mktemp("models") / "clip"
    return save_clip(path, published.state_dict())


def test_pictures_and_texts_are_those_of_the_library(folder, published, generator):
    import transformers

    encoder, before = load_clip(folder), torch.get_rng_state()
    image = torch.rand(2, 3, 32, 32, generator=generator)
    processor = transformers.CLIPImageProcessor(size=32, crop_size=32, do_rescale=False)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    options = {"padding": "max_length", "max_length": CONTEXT, "truncation": True}
    tokens = tokenizer(TEXTS, return_tensors="pt", **options)
    both = published(pixel_values=pixels, **tokens)
    torch.testing.assert_close(encoder.embed(image * 2 - 1), both.image_embeds)
    torch.testing.assert_close(encoder.embed_texts(TEXTS), both.text_embeds)
    assert encoder.size == 32 and torch.equal(torch.get_rng_state(), before)


def test_the_gradient_reaches_the_picture_in_inference_mode_too(folder):
    with torch.inference_mode():
        encoder = load_clip(folder)
    image = torch.zeros(1, 3, 48, 48, requires_grad=True)
    encoder.embed(image)[0, 0].backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
    assert not any(p.requires_grad for p in encoder.network.parameters())


def test_files_of_older_versions_load(tmp_path, published):
    tensors = {**published.state_dict()}
    for tower, count in (("text_model", CONTEXT), ("vision_model", 17)):
        tensors[f"{tower}.embeddings.position_ids"] = torch.arange(count)[None]
    path = save_clip(tmp_path, {name: each.half() for name, each in tensors.items()})
    (path / "pytorch_model.bin").touch()
    x = torch.zeros(1, 3, 32, 32)
    assert load_clip(path / "model.safetensors").embed(x).dtype == torch.float32


def test_config_names_no_code(tmp_path, published):
    """Names that have transformers fetch or run something are not read."""
    asked = {"attn_implementation": "somebody/kernels", "auto_map": {"AutoModel": "evil.Model"}}
    for part in ("text_config", "vision_config"):
        asked[part] = {**CONFIG[part], "attn_implementation": "somebody/kernels"}
    (save_clip(tmp_path, published.state_dict(), **asked) / "evil.py").write_text("1 / 0")
    network = load_clip(tmp_path).network
    assert network.clip.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["config.json"], "no config.json in .*fetch the model's whole folder"),
        (["vocab.json"], "no tokenizer.json or vocab.json with merges.txt in"),
    ],
)
def test_what_is_missing_beside_the_weights_is_named(tmp_path, published, missing, message):
    save_clip(tmp_path, published.state_dict())
    for name in missing:
        (tmp_path / name).unlink()
    with pytest.raises(MissingModel, match=message):
        load_clip(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"num_attention_heads": 3}, "num_attention_heads is 3, expected a divisor of 16"),
        ({"hidden_act": "os.system"}, "hidden_act is os.system, expected quick_gelu or gelu"),
    ],
)
def test_a_config_of_another_network_is_refused(tmp_path, published, part, message):
    config = {"text_config": {**CONFIG["text_config"], **part}}
    save_clip(tmp_path, published.state_dict(), **config)
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_clip(tmp_path)


def test_a_clip_is_inspected(folder):
    report = inspect(folder)
    assert (report.family, report.kind) == ("CLIP", "clip")
    assert json.dumps(report.as_json()) and "embedding 8" in report.as_text()
