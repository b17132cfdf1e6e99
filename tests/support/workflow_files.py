"""The workflow files as tests run them: quick, with the bundled weights, on drawn faces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ...editor_core.demo.pairs import draw_pairs
from ...editor_core.images import write_png

NAMES = (
    "face_swap_demo",
    "face_swap_diffface",
    "face_swap_unconditional",
    "analysis_only",
    "candidates_and_metrics",
    "batch_pairs",
    "photo_swap",
    "group_photo",
    "frames",
    "keep_occluders",
    "mix_identities",
    "set_gaze",
    "face_model_any_sampler",
)
PREFIX = "FaceEdit_"
SAMPLER = f"{PREFIX}GuidedFaceSampler"


def paths(root: Path, name: str) -> tuple[Path, Path]:
    """The files in UI format and in API format."""
    folder = root / "workflows"
    return folder / f"{name}.json", folder / "api" / f"{name}.json"


def read(root: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph in UI format and in API format."""
    ui, api = (json.loads(path.read_text(encoding="utf-8")) for path in paths(root, name))
    return ui, api


def quick_graph(root: Path, name: str, **sampling: Any) -> dict[str, Any]:
    """A graph in API format, with the bundled weights in place of published ones.

    No face landmarker is bundled, so those are taken out.
    """
    _, graph = read(root, name)
    meshes = [k for k, each in graph.items() if each["class_type"] == f"{PREFIX}LoadFaceLandmarker"]
    graph = {k: each for k, each in graph.items() if k not in meshes}
    for node in graph.values():
        node["inputs"] = inputs = {
            each: value
            for each, value in node["inputs"].items()
            if not (isinstance(value, list) and value[0] in meshes)
        }
        inputs |= {"model_name": "demo.safetensors"} if "model_name" in inputs else {}
        if node["class_type"] == SAMPLER:
            inputs |= sampling
        if node["class_type"] == "KSampler":
            inputs |= {"steps": sampling.get("steps", inputs["steps"])}
        if node["class_type"] == "ImageScale":
            inputs |= {"width": 64, "height": 64}
    return graph


def put_pictures(folder: Path) -> None:
    """Drawn faces in an input folder, where the workflows look for pictures."""
    pairs = draw_pairs(2, 0, 64)
    for kind, images in (("source", pairs.source.image), ("target", pairs.target.image)):
        shutil.rmtree(folder / f"{kind}s", ignore_errors=True)
        (folder / f"{kind}s").mkdir(parents=True)
        write_png(folder / f"{kind}.png", images[0])
        for k, image in enumerate(images):
            write_png(folder / f"{kind}s" / f"{k}.png", image)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of the pack in API format."""
    return {"class_type": f"{PREFIX}{kind}", "inputs": inputs}


def core(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of ComfyUI's own in API format."""
    return {"class_type": kind, "inputs": inputs}


def guidance_of(graph: dict[str, Any]) -> Any:
    """Where the sampler of a graph takes its guidance from."""
    (sampler,) = [each for each in graph.values() if each["class_type"] == SAMPLER]
    return sampler["inputs"]["guidance"]


def guided_by(
    graph: dict[str, Any], last: str, prefix: str, nodes: dict[str, Any]
) -> dict[str, Any]:
    """A graph with more nodes, whose sampler is guided by `last`; its metrics are named anew."""
    graph = {**graph, **nodes}
    for each in graph.values():
        if each["class_type"] == SAMPLER:
            each["inputs"]["guidance"] = [last, 0]
        if each["class_type"] == "FaceEdit_SaveMetrics":
            each["inputs"]["filename_prefix"] = prefix
    return graph
