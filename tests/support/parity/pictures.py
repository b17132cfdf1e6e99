"""e2e_*.safetensors: whole edits, pictures in and picture out."""

import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guided_face_edit.editor_core.diffusion.sampling import Step
from guided_face_edit.editor_core.editing import EditResult
from guided_face_edit.editor_core.face.parsing import FaceParser, parse_face
from guided_face_edit.editor_core.images import to_bchw, to_signed
from guided_face_edit.editor_core.reference.inputs import with_reference_inputs
from guided_face_edit.editor_core.reference.pipeline import edit_exactly, palette_mask
from guided_face_edit.editor_core.reference.views import TwoWarpViews

from .augment import given_warps
from .fill import hash_tensor
from .measure import assert_near, assert_same_pixels, thinned, tolerances
from .scene import EXACT, face_models
from .trajectories import ForwardCount, passes, run_tolerances, settings_of

Notes = dict[str, Any]
Tensors = Mapping[str, Tensor]

LOGGED = {  # the reference's names; whether it logs them times their scale
    "id_loss": ("identity", True),
    "seg_loss": ("parsing", False),
    "gaze_loss": ("gaze", True),
    "l2_loss": ("pixel", False),
}


class HashedNoise:
    """Draw i of a run is stream i of the fill rule."""

    def __init__(self, seed: int, half: float) -> None:
        self.seed, self.half, self.streams = seed, half, count()

    def draw(self, like: Tensor) -> Tensor:
        return hash_tensor(self.seed, next(self.streams), like.shape, self.half)


def check_picture(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    models = face_models(folder, note, tensors)
    forwards = ForwardCount(models.diffusion.network)
    half = float(re.search(r"half=([\d.]+)", note["noise_rule"])[1])
    steps: list[Step] = []
    result = edit_exactly(
        models,
        to_bchw(pixels(tensors["source_u8"])),
        to_bchw(pixels(tensors["target_u8"])),
        settings_of(note),
        landmarks=tensors["landmarks"][None],
        on_step=steps.append,
        noise=HashedNoise(note["noise_seed"], half),
        views=TwoWarpViews(given_warps(tensors, "aug/"), note["aug"]),
        masking_threshold=note["thr"],
    )
    assert len(steps) == note["steps"]
    assert forwards.count == passes(note, torch.tensor([step.t for step in steps]))
    _check_png(manifest, result, tensors["final_png"])
    parser = with_reference_inputs(models).parser
    _check_palette(manifest, parser, steps, tensors)
    _check_labels(manifest, note, parser, result, tensors)
    _check_steps(manifest, note, steps, tensors)
    _check_losses(manifest, note, result, tensors)


def pixels(picture: Tensor) -> Tensor:  # (3,H,W) bytes -> (1,H,W,3) in [0,1]
    return picture.movedim(0, -1)[None].float() / 255


def _check_png(manifest: Notes, result: EditResult, golden: Tensor) -> None:
    most, share, few = tolerances(manifest, "e2e final_png")
    levels = (result.images[0, 0] * 255).to(torch.uint8)  # cut off, as the reference does
    differences = (levels.int() - golden.int()).abs()
    assert differences.max() <= most, f"final_png: {differences.max()} levels off"
    assert (differences > few).double().mean() < share


def _check_labels(
    manifest: Notes, note: Notes, parser: FaceParser, result: EditResult, tensors: Tensors
) -> None:
    share, *_ = tolerances(manifest, "masks/argmax")
    labels = parse_face(parser, to_signed(pixels(tensors["target_u8"]))).labels[0]
    assert_same_pixels("target_classes", labels, tensors["target_classes"], share)
    if note["enforce"]:
        assert_same_pixels("mask", result.mask[0, 0], tensors["mask"], share)


def _check_palette(
    manifest: Notes, parser: FaceParser, steps: list[Step], tensors: Tensors
) -> None:
    """The mask that the reference takes where the background is not kept."""
    share, *_ = tolerances(manifest, "masks/argmax")
    red = palette_mask(parse_face(parser, steps[-1].pred_x0.clamp(-1, 1)))[0, 0] * 255
    assert_same_pixels("pred_classes_red", red.round(), tensors["pred_classes_red"], share)


def _check_steps(manifest: Notes, note: Notes, steps: list[Step], tensors: Tensors) -> None:
    near, last = run_tolerances(manifest, note)
    middle = steps[len(steps) // 2]
    looks = {
        "first_pred_xstart_s4": (steps[0].pred_x0, near),
        "mid_pred_xstart_s4": (middle.pred_x0, near),
        "last_pred_xstart_s4": (steps[-1].pred_x0, last),
        "last_sample_s4": (steps[-1].sample, last),
    }
    for key in looks.keys() & tensors.keys():
        mine, tolerance = looks[key]
        assert_near(key, thinned(mine, key), tensors[key], tolerance)


def _check_losses(manifest: Notes, note: Notes, result: EditResult, tensors: Tensors) -> None:
    """Of every step that is guided: the last of DDPM is not, its guidance would go unused."""
    near, _ = run_tolerances(manifest, note)
    for name, (term, scaled) in LOGGED.items():
        named = [kind == name for kind in note["metric_names"]]
        mine = torch.tensor([sample.mean for sample in result.metrics.series.get(term, [])])
        mine = mine * (getattr(EXACT, term).scale if scaled else 1)
        assert_near(name, mine, tensors["losses"][torch.tensor(named)][: len(mine)], near)
