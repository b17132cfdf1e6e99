"""Guidance in the samplers of a real ComfyUI, and our face model among its own."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from guided_face_edit.tests.support.live_server import NodeError, run_in_comfyui
from guided_face_edit.tests.support.workflow_files import core, node, quick_graph

pytestmark = pytest.mark.live
FLOW = "face_model_any_sampler"


def _number(graph, kind):
    return next(k for k, each in graph.items() if each["class_type"] == kind)


def _saving(graph, prefix):
    metrics = _number(graph, "FaceEdit_GuidanceMetrics")
    graph["written"] = node(
        "SaveMetrics", metrics=[metrics, 0], filename_prefix=prefix, format="json"
    )
    return graph


def _series(server, prefix):
    (path,) = (server.base / "output").glob(f"{prefix}*.json")
    return json.loads(path.read_text())


def test_the_hosts_euler_draws_what_our_ddim_draws(root, tmp_path):
    said = run_in_comfyui(root, "comfyui_native.py", tmp_path)
    assert "estimate: " in said and "network: " in said


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral", "heun"])
def test_the_hosts_samplers_are_guided(server, root, sampler):
    graph = _saving(quick_graph(root, FLOW, steps=4), sampler)
    graph[_number(graph, "KSampler")]["inputs"]["sampler_name"] = sampler
    server.run(graph)
    series = _series(server, sampler)
    assert set(series) == {"identity", "parsing", "gaze", "lpips", "pixel"}
    assert {step["t"] for step in series["identity"]} == {0, 1, 2, 3}


def test_the_blend_sampler_and_the_network_gradient(server, root):
    graph = _saving(quick_graph(root, FLOW, steps=4), "blended")
    sampled = _number(graph, "KSampler")
    given = graph[sampled]["inputs"]
    guided = _number(graph, "FaceEdit_ApplyFaceGuidance")
    graph[guided]["inputs"]["gradient"] = "network"
    names = ("positive", "negative")
    graph |= {
        "noise": node("FaceNoise", seed=3),
        "sampler": node("FaceBlendSampler", eta=0.3, ramp_end=0.7),
        "guider": core("CFGGuider", model=[guided, 0], cfg=1.5, **{k: given[k] for k in names}),
        "sigmas": core(
            "BasicScheduler", model=[guided, 0], scheduler="karras", steps=4, denoise=0.8
        ),
    }
    inputs = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
    graph[sampled] = core("SamplerCustomAdvanced", latent_image=given["latent_image"], **inputs)
    graph["mask picture"] = core("MaskToImage", mask=[_number(graph, "FaceEdit_FaceMask"), 0])
    pair = _number(graph, "FaceEdit_DrawDemoPortraits")
    kept = _number(graph, "FaceEdit_KeepBackground")
    shown = {"target": [pair, 1], "mask": ["mask picture", 0], "edit": [kept, 0]}
    for name, images in shown.items():
        graph[f"{name} saved"] = core("SaveImage", images=images, filename_prefix=name)
    outputs = server.run(graph)
    target, mask, edit = (_pixels(server, outputs[f"{name} saved"]["images"][0]) for name in shown)
    assert (edit[mask == 0] == target[mask == 0]).all() and (edit != target).any()
    assert len(_series(server, "blended")["pixel"]) == 4


def test_a_run_that_is_cancelled_is_run_again(server, root):
    graph = quick_graph(root, FLOW, steps=12)
    graph[_number(graph, "KSampler")]["inputs"]["seed"] = 12
    with pytest.raises(NodeError, match="interrupted"):
        server.run(graph, interrupt_after=2)
    assert server.run(graph)


def _pixels(server, saved):
    return np.array(Image.open(io.BytesIO(server.file(saved))).convert("RGB"))


def test_the_hosts_own_families_are_guided(root, tmp_path):
    """Every way that this version of ComfyUI can load: old ones find no tiny Flux."""
    said = run_in_comfyui(root, "comfyui_families.py", tmp_path)
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {row["family"] for row in rows} == {"SD3", "Flux"}
    tried = [row for row in rows if "guided" in row]
    assert {row["family"] for row in tried} >= {"SD3"}
    assert all(row["guided"] < row["free"] for row in tried)
    assert all(row["family"] == "Flux" for row in rows if "error" in row)
