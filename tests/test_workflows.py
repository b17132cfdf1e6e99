"""The workflows: both files of each say the same, everything in them is valid, and they run."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.demo.pairs import draw_pairs
from guided_face_edit.editor_core.images import write_png
from guided_face_edit.nodes import NODES
from guided_face_edit.tests.standin.graph import run_graph
from guided_face_edit.tests.workflow_formats import api_format, ui_format
from guided_face_edit.tests.workflow_graphs import WORKFLOWS

CLASSES = {node.define_schema().node_id: node for node in NODES}

NAMES = (
    "face_swap_demo",
    "face_swap_diffface",
    "analysis_only",
    "candidates_and_metrics",
    "batch_pairs",
)


@pytest.fixture(scope="module")
def files(root, request):
    made = {}
    for flow in (make() for make in WORKFLOWS):
        made[flow.name] = ui_format(flow), api_format(flow)
        if request.config.getoption("--rewrite"):
            for value, path in zip(made[flow.name], _paths(root, flow.name), strict=True):
                path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    assert set(made) == set(NAMES)
    return made


def _paths(root, name):
    return root / "workflows" / f"{name}.json", root / "workflows" / "api" / f"{name}.json"


def _read(root, name):
    return (json.loads(path.read_text(encoding="utf-8")) for path in _paths(root, name))


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_code_makes(files, root, name):
    assert list(_read(root, name)) == list(files[name]), "run pytest with --rewrite"


@pytest.mark.parametrize("name", NAMES)
def test_the_browsers_graph_is_the_servers(root, name):
    """Read back from the UI file alone, with no help of the code that wrote it."""
    ui, api = _read(root, name)
    links = {link[0]: link for link in ui["links"]}
    seen = {}
    for node in (node for node in ui["nodes"] if node["type"] != "MarkdownNote"):
        wired = {
            each["name"]: [str(links[each["link"]][1]), links[each["link"]][2]]
            for each in node["inputs"]
            if each["link"] is not None
        }
        seen[str(node["id"])] = node["type"], wired, list(node["widgets_values"])
    assert seen.keys() == api.keys()
    for number, (kind, wired, values) in seen.items():
        inputs = api[number]["inputs"]
        assert api[number]["class_type"] == kind
        assert {k: v for k, v in inputs.items() if isinstance(v, list)} == wired
        constants = [value for value in inputs.values() if not isinstance(value, list)]
        extra = {"FaceEdit_GuidedFaceSampler": ["fixed"], "LoadImage": ["image"]}.get(kind, [])
        assert sorted(map(str, values)) == sorted(map(str, constants + extra))


@pytest.mark.parametrize("name", NAMES)
def test_every_link_joins_an_output_to_an_input_of_its_type(root, name):
    ui, _ = _read(root, name)
    nodes = {node["id"]: node for node in ui["nodes"]}
    for number, start, slot, end, place, kind in ui["links"]:
        out, into = nodes[start]["outputs"][slot], nodes[end]["inputs"][place]
        assert number in out["links"] and into["link"] == number
        assert out["type"] == kind and into["type"] in (kind, "*", "STRING")


@pytest.mark.parametrize("name", NAMES)
def test_nodes_lie_in_their_groups_and_apart(root, name):
    ui, _ = _read(root, name)
    boxes = [(*node["pos"], *node["size"]) for node in ui["nodes"]]
    for k, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[k + 1 :]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y
    for (left, *_), (right, *_) in pairwise(group["bounding"] for group in ui["groups"]):
        assert left < right


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_thumbnail(root, name):
    with Image.open(root / "workflows" / f"{name}.jpg") as picture:
        assert min(picture.size) >= 256


@pytest.fixture
def quick(root):
    """A graph that edits in three steps, with the bundled weights in place of published ones."""

    def load(name):
        _, graph = _read(root, name)
        for node in graph.values():
            inputs = node["inputs"]
            inputs |= {"model_name": "demo.safetensors"} if "model_name" in inputs else {}
            if node["class_type"] == "FaceEdit_GuidedFaceSampler":
                inputs |= {"steps": 3, "skip": 1, "candidates": 1}
            if node["class_type"] == "ImageScale":
                inputs |= {"width": 64, "height": 64}
        return graph

    return load


@pytest.fixture
def pictures(folders):
    """Drawn faces in the input folder, where the workflows look for pictures."""
    folder, pairs = Path(folders.get_input_directory()), draw_pairs(2, 0, 64)
    for kind, images in (("source", pairs.source.image), ("target", pairs.target.image)):
        shutil.rmtree(folder / f"{kind}s", ignore_errors=True)
        (folder / f"{kind}s").mkdir()
        write_png(folder / f"{kind}.png", images[0])
        for k, image in enumerate(images):
            write_png(folder / f"{kind}s" / f"{k}.png", image)


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_runs_to_its_pictures(name, quick):
    graph = quick(name)
    done = run_graph(graph, CLASSES)
    samplers = [k for k, v in graph.items() if v["class_type"] == "FaceEdit_GuidedFaceSampler"]
    assert len(samplers) == (name != "analysis_only")
    for sampler in samplers:
        inputs = graph[sampler]["inputs"]
        runs = done[sampler][1]
        targets, masks = (done[inputs[key][0]][inputs[key][1]] for key in ("target", "mask"))
        assert len(runs) == (2 if name == "batch_pairs" else 1)
        for best, target, mask in zip(runs, targets, masks, strict=True):
            kept = (mask == 0)[..., None].expand_as(target)
            assert torch.equal(best[kept], target[kept]) and not torch.equal(best, target)
