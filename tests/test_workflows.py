"""The workflows: both files of each say the same, everything in them is valid, and they run."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.face.aligning import quads
from guided_face_edit.nodes import NODES
from guided_face_edit.tests.support.running import load
from guided_face_edit.tests.support.standin.graph import run_graph
from guided_face_edit.tests.support.workflow_files import (
    NAMES,
    SAMPLER,
    paths,
    put_pictures,
    quick_graph,
    read,
)
from guided_face_edit.tests.support.workflow_formats import api_format, ui_format
from guided_face_edit.tests.support.workflow_graphs import WORKFLOWS

EDITS = {SAMPLER: 1, "FaceEdit_KeepBackground": 0}  # and where their finished picture comes out
CLASSES = {node.define_schema().node_id: node for node in NODES}


@pytest.fixture(scope="module")
def files(root, request):
    made = {}
    for flow in (make() for make in WORKFLOWS):
        made[flow.name] = ui_format(flow), api_format(flow)
        if request.config.getoption("--rewrite"):
            for value, path in zip(made[flow.name], paths(root, flow.name), strict=True):
                path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    assert set(made) == set(NAMES)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_code_makes(files, root, name):
    assert list(read(root, name)) == list(files[name]), "run pytest with --rewrite"


@pytest.mark.parametrize("name", NAMES)
def test_the_browsers_graph_is_the_servers(root, name):
    """Read back from the UI file alone, with no help of the code that wrote it."""
    ui, api = read(root, name)
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
        extra = ["fixed"] * ("seed" in inputs) + ["image"] * (kind == "LoadImage")
        assert sorted(map(str, values)) == sorted(map(str, constants + extra))


@pytest.mark.parametrize("name", NAMES)
def test_every_link_joins_an_output_to_an_input_of_its_type(root, name):
    ui, _ = read(root, name)
    nodes = {node["id"]: node for node in ui["nodes"]}
    for number, start, slot, end, place, kind in ui["links"]:
        out, into = nodes[start]["outputs"][slot], nodes[end]["inputs"][place]
        assert number in out["links"] and into["link"] == number
        assert out["type"] == kind and into["type"] in (kind, "*", "STRING")


@pytest.mark.parametrize("name", NAMES)
def test_nodes_lie_in_their_groups_and_apart(root, name):
    ui, _ = read(root, name)
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
def pictures(folders):
    put_pictures(Path(folders.get_input_directory()))


@pytest.fixture(scope="module")
def held():
    """The bundled models, which no graph has to read then."""
    kinds = ("FaceDiffusionModel", "IdentityModel", "FaceParser", "GazeModel", "LpipsModel")
    return [load(kind) for kind in kinds]


@pytest.mark.usefixtures("pictures", "held")
@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_runs_to_its_pictures(name, root):
    graph = quick_graph(root, name, steps=2, skip=1, candidates=1)
    done = run_graph(graph, CLASSES)
    editing = [k for k, v in graph.items() if v["class_type"] in EDITS]
    assert len(editing) == (name != "analysis_only")
    for number in editing:
        inputs = graph[number]["inputs"]
        runs = done[number][EDITS[graph[number]["class_type"]]]
        given = {key: done[inputs[key][0]][inputs[key][1]] for key in ("target", "mask")}
        if "faces" in inputs:
            given["mask"] = [_crops_of(faces) for faces in done[inputs["faces"][0]][1]]
        assert len(runs) == (2 if name == "batch_pairs" else 1)
        for best, target, mask in zip(runs, given["target"], given["mask"], strict=True):
            kept = (mask == 0)[..., None].expand_as(target)
            assert torch.equal(best[kept], target[kept]) and not torch.equal(best, target)


def _crops_of(faces):
    """1 in the photos where a crop may touch them."""
    mask = torch.zeros(faces.frames, *faces.size)
    for frame, corners in zip(faces.frame.tolist(), quads(faces), strict=True):
        (x0, y0), (x1, y1) = (
            each.clamp(min=0).long().tolist() for each in (corners.amin(0) - 1, corners.amax(0) + 2)
        )
        mask[frame, y0:y1, x0:x1] = 1
    return mask
