"""A start from the source's face, in a real ComfyUI: laid over, and edited from there."""

import pytest

from guided_face_edit.tests.support.workflow_files import SAMPLER, node, quick_graph

pytestmark = pytest.mark.live


def test_an_edit_starts_from_a_face_that_is_laid_over(server, root):
    graph = quick_graph(root, "face_swap_demo", steps=3, skip=1, candidates=1)
    (sampler,) = [each for each in graph.values() if each["class_type"] == SAMPLER]
    portraits = next(k for k, n in graph.items() if n["class_type"] == "FaceEdit_DrawDemoPortraits")
    given = {"source": [portraits, 0], **{n: sampler["inputs"][n] for n in ("target", "mask")}}
    graph["laid"] = node("LayFace", **given)
    graph["seen"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["laid", 0], "filename_prefix": "laid"},
    }
    sampler["inputs"]["start"] = ["laid", 0]
    outputs = server.run(graph)
    assert outputs["seen"]["images"]
    assert sum("images" in each for each in outputs.values()) >= 3
