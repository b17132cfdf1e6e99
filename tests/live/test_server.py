"""The pack in a real ComfyUI: every workflow over HTTP and websocket, headless as users run it."""

import io
import json
import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from guided_face_edit.nodes import NODES
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.live_server import NodeError
from guided_face_edit.tests.support.workflow_files import NAMES, SAMPLER, quick_graph

pytestmark = pytest.mark.live
GAZE = "gaze/demo.safetensors"
OF_PUBLISHED_FILES = {"face_swap_diffface", "face_swap_unconditional"}  # which are not here


@pytest.fixture
def graph(root):
    """A workflow of the pack, quick."""

    def load(name, **changes):
        return quick_graph(root, name, **{"steps": 5, "skip": 1, "candidates": 2, **changes})

    return load


def _only(graph, kind):
    (number,) = [number for number, node in graph.items() if node["class_type"] == kind]
    return number


def _pixels(server, saved):
    return np.array(Image.open(io.BytesIO(server.file(saved))).convert("RGB"))


def _saving(graph, **outputs):
    """The graph, which also saves these outputs of its nodes: name=(class, slot)."""
    graph = json.loads(json.dumps(graph))
    for name, (kind, slot) in outputs.items():
        images = [_only(graph, kind), slot]
        if kind == "FaceEdit_FaceMask":
            graph[f"{name} image"] = {"class_type": "MaskToImage", "inputs": {"mask": images}}
            images = [f"{name} image", 0]
        inputs = {"images": images, "filename_prefix": name}
        graph[name] = {"class_type": "SaveImage", "inputs": inputs}
    return graph


@pytest.mark.parametrize("name", ["face_swap_demo", "candidates_and_metrics"])
def test_the_edit_differs_inside_the_mask_alone(server, graph, name):
    extra = {
        "seen_target": ("FaceEdit_DrawDemoPortraits", 1),
        "seen_mask": ("FaceEdit_FaceMask", 0),
        "seen_best": (SAMPLER, 1),
    }
    outputs = server.run(_saving(graph(name), **extra))
    target, mask, best = (_pixels(server, outputs[key]["images"][0]) for key in extra)
    assert (best[mask == 0] == target[mask == 0]).all()
    assert (best[mask > 0] != target[mask > 0]).any()


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_runs_to_its_pictures(server, graph, name):
    before = len(server.said())
    outputs = server.run(graph(name))
    assert "Traceback" not in server.said()[before:]
    pictures = [saved for each in outputs.values() for saved in each.get("images", [])]
    assert pictures
    for saved in pictures:
        assert _pixels(server, saved).std() > 1


def test_the_metrics_are_complete(server, graph):
    workflow = graph("candidates_and_metrics")
    server.run(workflow)
    path = max((server.base / "output" / "face_edit").glob("metrics_*.json"))
    series = json.loads(path.read_text())
    assert set(series) == {"identity", "parsing", "gaze", "lpips", "pixel"}
    assert [len(sample["values"]) for sample in series["identity"]] == [2] * 4


def test_every_step_is_shown(server, graph):
    server.run(graph("face_swap_demo", seed=11))
    kinds = [message["type"] for message in server.heard]
    assert kinds.count("preview") >= 4


def test_the_same_graph_runs_from_the_cache(server, graph):
    workflow = graph("face_swap_demo", seed=12)
    server.run(workflow)
    server.run(workflow)
    cached = [m["data"]["nodes"] for m in server.heard if m["type"] == "execution_cached"]
    assert _only(workflow, SAMPLER) in cached[0]


def test_a_run_can_be_cancelled_within_a_step_and_run_again(server, graph):
    workflow = graph("face_swap_demo", seed=13, steps=60, skip=0)
    with pytest.raises(NodeError, match="interrupted"):
        server.run(workflow, interrupt_after=2)
    seen = [m["data"]["value"] for m in server.heard if m["type"] == "progress"]
    assert max(seen) <= 4
    assert server.run(graph("face_swap_demo", seed=13))


def test_queued_prompts_give_what_they_give_one_by_one(server, graph):
    def edits(outputs):
        key = [k for k, v in outputs.items() if v.get("images", [{}])[0].get("type") == "output"][0]
        return _pixels(server, outputs[key]["images"][0])

    seeds = (21, 41)  # further apart than there are candidates, which have the seeds that follow
    alone = [edits(server.run(graph("face_swap_demo", seed=seed))) for seed in seeds]
    again = [dict(graph("face_swap_demo", seed=seed), x=_noop(seed)) for seed in seeds]
    prompts = [server.queue(workflow) for workflow in again]
    together = [edits(server.wait(prompt)) for prompt in prompts]
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
    assert (alone[0] != alone[1]).any()


def _noop(seed):
    return {"class_type": "PreviewAny", "inputs": {"source": f"{seed} {time.time()}"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skip": 5}, "skip is 5 of 5 steps: skip fewer than 5"),
        ({"mask": "empty"}, "target 0 has an empty mask, expected some white"),
        ({"mask": "small"}, "mask is 32x32, image is 64x64: resize the mask first"),
    ],
)
def test_a_node_says_itself_what_is_wrong(server, graph, change, message):
    workflow = graph("face_swap_demo")
    if "mask" in change:
        size = 32 if change["mask"] == "small" else 64
        solid = {"value": float(size == 32), "width": size, "height": size}
        workflow["solid"] = {"class_type": "SolidMask", "inputs": solid}
        change = {"mask": ["solid", 0]}
    workflow[_only(workflow, SAMPLER)]["inputs"] |= change
    with pytest.raises(NodeError, match=message):
        server.run(workflow)


def test_a_missing_model_is_named_before_anything_runs(server, graph):
    workflow = graph("face_swap_demo")
    number = _only(workflow, "FaceEdit_LoadIdentityModel")
    workflow[number]["inputs"]["model_name"] = "Arcface.tar"
    with pytest.raises(NodeError, match="models/face_edit/identity.*CC BY-NC"):
        server.run(workflow)


def test_an_identity_is_saved_and_loaded(server):
    graph = {
        "pair": _node("DrawDemoPortraits", seed=5, pairs=1),
        "model": _node("LoadIdentityModel", model_name="demo.safetensors"),
        "face": _node(
            "EmbedIdentity", identity_model=["model", 0], image=["pair", 0], average=True
        ),
        "saved": _node("SaveIdentityEmbedding", embedding=["face", 0], filename_prefix="live"),
    }
    server.run(graph)
    (path,) = (server.base / "output" / "embeddings").glob("live*")
    graph["saved"] = _node("LoadIdentityEmbedding", embedding_name=path.name)
    graph["far"] = _node(
        "IdentityDistance", identity_model=["model", 0], image=["pair", 0], embedding=["saved", 0]
    )
    graph["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["far", 1]}}
    (said,) = server.run(graph)["shown"]["text"]
    assert abs(float(said.removeprefix("0: "))) < 1e-4


def test_a_model_file_is_inspected_and_converted(server):
    (said,) = server.run({"1": _node("InspectModelFile", model_file=GAZE)})["1"]["text"]
    assert "EyeNet" in said
    convert = _node("ConvertModelFile", model_file=GAZE, save_as="live.safetensors", half=True)
    convert["inputs"]["overwrite"] = False
    server.run({"1": convert})
    assert (server.base / "models" / "face_edit" / "gaze" / "live.safetensors").is_file()


def test_the_face_of_a_real_photograph_is_found_and_cut_out(server):
    folder = server.base / "models" / "face_edit" / "detection"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(shipped.yunet(), folder / "yunet.onnx")
    shutil.copy(shipped.astronaut(), server.base / "input" / "astronaut.png")
    graph = {
        "photo": {"class_type": "LoadImage", "inputs": {"image": "astronaut.png"}},
        "found": _node("DetectFaces", image=["photo", 0], detector="yunet.onnx"),
        "cut": _node("AlignFaces", image=["photo", 0], faces=["found", 0], template="ffhq"),
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["cut", 0]}},
        "said": {"class_type": "PreviewAny", "inputs": {"source": ["found", 1]}},
    }
    graph["found"]["inputs"] |= {"min_score": 0.6, "min_size": 24, "if_missing": "error"}
    graph["cut"]["inputs"] |= {"size": 128, "smoothing": 0.0}
    try:
        outputs = server.run(graph)
    except NodeError as error:
        assert "opencv-python-headless" in str(error)
        pytest.skip("the server's Python has no OpenCV: pip install opencv-python-headless")
    (crop,) = outputs["shown"]["images"]
    assert _pixels(server, crop).shape == (128, 128, 3)


def _node(kind, **inputs):
    return {"class_type": f"FaceEdit_{kind}", "inputs": inputs}


def test_templates_are_listed_with_their_thumbnails(server):
    listed = server.get("/workflow_templates")
    (names,) = [names for pack, names in listed.items() if pack == "guided-face-edit"]
    assert set(NAMES) == set(names)


def test_every_node_has_its_help_page(server):
    nodes = [name for name in server.get("/object_info") if name.startswith("FaceEdit_")]
    assert len(nodes) == len(NODES)
    for name in nodes:
        path = f"/extensions/guided-face-edit/docs/{name}.md"
        assert server.file_at(path).startswith(b"# ")


@pytest.fixture(scope="module")
def comfy():
    """comfy-cli, which never asks and never tells."""
    program = os.environ.get("COMFY_CLI") or shutil.which("comfy")
    if not program:
        pytest.skip("comfy-cli is not installed")

    def call(*arguments):
        return subprocess.run(
            [program, "--skip-prompt", *map(str, arguments)],
            env={**os.environ, "DO_NOT_TRACK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return call


@pytest.mark.parametrize("folder", ["workflows", "workflows/api"])
@pytest.mark.parametrize("name", ["face_swap_demo"])
def test_comfy_cli_runs_a_workflow(server, comfy, root, folder, name):
    path = root / folder / f"{name}.json"
    address = ("--host", "127.0.0.1", "--port", server.port)
    done = comfy("run", "--workflow", path, "--wait", *address, "--timeout", 300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(set(NAMES) - OF_PUBLISHED_FILES))
def test_comfy_cli_finds_every_workflow_valid(server, comfy, root, tmp_path, name):
    info = tmp_path / "object_info.json"
    info.write_text(json.dumps(server.get("/object_info")))
    path = root / "workflows" / "api" / f"{name}.json"
    done = comfy("workflow", "validate", "--workflow", path, "--input", info)
    assert done.returncode == 0, done.stdout + done.stderr
