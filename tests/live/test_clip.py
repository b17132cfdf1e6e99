"""CLIP as a real ComfyUI holds it."""

import json

import pytest
import torch
from safetensors.torch import save_file

from guided_face_edit.tests.support.live_server import run_in_comfyui
from guided_face_edit.tests.support.workflow_files import (
    core,
    guidance_of,
    guided_by,
    node,
    quick_graph,
)

pytestmark = pytest.mark.live


def test_the_hosts_own_clip_is_paired_and_differentiated(root, tmp_path):
    run_in_comfyui(root, "comfyui_clip.py", tmp_path)


def test_an_edit_is_guided_by_a_text_of_comfyuis_own_loaders(server, root):
    """Its loaders know CLIP by its published sizes alone, so the random weights have those."""
    folder = server.base / "models"
    (folder / "clip_vision").mkdir(exist_ok=True)
    write_random_clip(folder / "clip_vision" / "random.safetensors")
    (folder / "text_encoders").mkdir(exist_ok=True)
    (folder / "text_encoders" / "random.safetensors").symlink_to(
        folder / "clip_vision" / "random.safetensors"
    )
    graph = quick_graph(root, "candidates_and_metrics", steps=3, skip=1, candidates=1)
    wish = {
        "prompt": "a face with a beard\na face with blond hair",
        "negative_prompt": "a face",
        "margin": 0.5,
        "scale": 1.0,
        "views": 1,
        "max_rotation": 15.0,
        "max_shift": 0.1,
        "max_inset": 0.35,
        "probability": 0.7,
        "start_percent": 0.0,
        "end_percent": 1.0,
    }
    nodes = {
        "texts": core("CLIPLoader", clip_name="random.safetensors", type="stable_diffusion"),
        "pictures": core("CLIPVisionLoader", clip_name="random.safetensors"),
        "clip": node("PairClipModels", clip=["texts", 0], clip_vision=["pictures", 0]),
        "text": node("TextGuidance", clip_model=["clip", 0], guidance=guidance_of(graph), **wish),
    }
    outputs = server.run(guided_by(graph, "text", "text", nodes))
    assert any("images" in each for each in outputs.values())
    metrics = json.loads(next((server.base / "output").glob("text*.json")).read_text())
    assert all(value > 0 for step in metrics["text"] for value in step["values"])


def write_random_clip(path):
    """A file laid out as `openai/clip-vit-large-patch14`, both towers, in half precision."""
    transformers = pytest.importorskip("transformers")
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    }
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    with torch.device("meta"):
        shapes = transformers.CLIPModel(config).state_dict()
    generator = torch.Generator().manual_seed(0)
    tensors = {name: random_tensor(name, each.shape, generator) for name, each in shapes.items()}
    save_file(tensors, path)


def random_tensor(name, shape, generator):
    tensor = torch.randn(shape, generator=generator) * 0.02
    return (tensor + 1 if "norm" in name and name.endswith("weight") else tensor).half()
