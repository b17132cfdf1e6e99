"""The terms that read landmarks, in a real ComfyUI: an edit of drawn people under both."""

import json

import pytest

from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.tests.support.families import randomised
from guided_face_edit.tests.support.workflow_files import guidance_of, guided_by, node, quick_graph

pytestmark = pytest.mark.live


def test_an_edit_keeps_an_expression_and_is_given_one(server, root):
    """A mesh of random weights finds some landmarks or other; both terms are recorded."""
    network = randomised(FaceMesh(FaceMeshConfig((2, 3, 4, 4, 5, 6), 3)))
    folder = server.base / "models" / "face_edit" / "landmarks"
    save_model(folder / "mesh.safetensors", network, "landmarks", {})
    graph = quick_graph(root, "candidates_and_metrics", steps=3, skip=1, candidates=1)
    mesh = {"landmarker": ["mesh", 0], "scale": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    sliders = ("frown", "jaw_open", "pucker", "press_lips", "blink", "squint", "eyes_wide")
    more = ("brow_up", "brow_down", "cheek_puff", "sneer")
    free = dict.fromkeys((*sliders, *more), -1.0)
    smile = {**mesh, **free, "smile": 0.8, "more": "jawLeft=0.1", "guidance": ["kept", 0]}
    nodes = {
        "mesh": node("LoadFaceLandmarker", model_name="mesh.safetensors"),
        "kept": node("ExpressionGuidance", **mesh, guidance=guidance_of(graph)),
        "smile": node("BlendshapeGuidance", **smile),
    }
    graph = guided_by(graph, "smile", "expression", nodes)
    outputs = server.run(graph)
    assert any("images" in each for each in outputs.values())
    path = next((server.base / "output").glob("expression*.json"))
    assert {"expression", "blendshapes"} < set(json.loads(path.read_text()))
