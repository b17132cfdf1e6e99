"""eye_boxes.safetensors and cond_fn.safetensors: the guidance of single steps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.diffusion.sampling import GuidedPrediction
from guided_face_edit.editor_core.guidance.gradient import GradientGuider
from guided_face_edit.editor_core.guidance.terms import BoundTerm
from guided_face_edit.editor_core.images import resize
from guided_face_edit.editor_core.reference.pipeline import (
    detector_image,
    eyes_unclamped,
    unscaled_index,
)
from guided_face_edit.editor_core.reference.views import TwoWarpViews

from .augment import GivenWarps
from .measure import assert_each_near, assert_near, by_either_kernel, thinned, tolerances
from .process import diffusion_of
from .scene import PARSING_SIZE, ReferenceScene, logged, reference_scene

Notes = dict[str, Any]
Tensors = Mapping[str, Tensor]


def check_eye_boxes(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    shown = detector_image(tensors["detector_in/image01"])[0]
    assert torch.equal(shown, tensors["detector_in/uint8"])
    boxes = eyes_unclamped(tensors["landmarks_36_39_42_45"])
    assert torch.equal(torch.cat([boxes.left, boxes.right], 1), tensors["boxes"])


def check_cond_fn(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    scene = reference_scene(folder, note, tensors, tensors)
    near, *_ = tolerances(manifest, "cond_fn losses")
    _check_features(scene, tensors, near)
    for facts in note["cases"]:
        case = _case(facts, note["config"], tensors)
        by_either_kernel(partial(_check_case, scene, case, manifest))


@dataclass(frozen=True)
class Case:
    """One call of the guidance."""

    name: str
    facts: Notes
    given: Tensors
    diffusion: GaussianDiffusion
    index: int  # the one the reference recovers from the network's timestep

    @property
    def x_t(self) -> Tensor:
        return self.given["x"].float()

    def terms(self, scene: ReferenceScene) -> dict[str, BoundTerm]:
        """With this case's views still to come."""
        return scene.terms(self.warps, self.facts["aug_num"])

    @property
    def warps(self) -> GivenWarps:
        return GivenWarps([self.given] if "affine_matrix" in self.given else [])

    def guided(self, scene: ReferenceScene, *terms: BoundTerm) -> GuidedPrediction:
        guider = GradientGuider(scene.denoiser(self.diffusion), self.diffusion, terms)
        return guider(self.x_t, self.index)


def _case(facts: Notes, config: Notes, tensors: Tensors) -> Case:
    name = facts["case"]
    given = {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
    diffusion = diffusion_of(
        config["noise_schedule"], facts["respacing"], config["diffusion_steps"]
    )
    index = int(unscaled_index(diffusion)[facts["index"]])
    assert index == facts["unscaled_t"]
    return Case(name, facts, given, diffusion, index)


def _check_case(scene: ReferenceScene, case: Case, manifest: Notes) -> None:
    scene = replace(scene)  # what it remembers is of other kernels
    _check_total(scene, case, manifest)
    _check_terms_alone(scene, case, manifest)
    _check_antialiased(scene, case, manifest)


def _check_features(scene: ReferenceScene, tensors: Tensors, near: float) -> None:
    logits = scene.models.parser.logits(scene.target, PARSING_SIZE)
    made = {"img_id": scene.embedding, "seg_targ_logits_s8": thinned(logits, "_s8")}
    for key in made.keys() & tensors.keys():
        assert_near(key, made[key], tensors[key], near)


def _check_total(scene: ReferenceScene, case: Case, manifest: Notes) -> None:
    """Every loss, the gradient of their sum, and what the terms saw."""
    near, *_ = tolerances(manifest, "cond_fn losses")
    terms = case.terms(scene)
    guided = case.guided(scene, *terms.values())
    losses = logged(terms, guided.losses)
    assert_each_near(f"{case.name}/losses", losses, case.given["losses"], near)
    x0, share = guided.prediction.pred_x0, case.facts["fac"]
    assert_near(f"{case.name}/pred_xstart", x0, case.given["pred_xstart"], near)
    _assert_gradient(case, "grad", guided, manifest)
    for key, mine in _looks(scene, case, share * x0 + (1 - share) * case.x_t).items():
        if key in case.given:
            assert_near(f"{case.name}/{key}", thinned(mine, key), case.given[key], near)


def _looks(scene: ReferenceScene, case: Case, seen: Tensor) -> dict[str, Tensor]:
    """What the parser and the encoder make of the picture that the terms see."""
    encoder, views = scene.models.identity, TwoWarpViews(case.warps, case.facts["aug_num"])
    face = encoder.resize(encoder.normalise(seen) * scene.mask, encoder.size)
    logits = scene.models.parser.logits(seen, PARSING_SIZE)
    return {"seg_src_logits_s8": logits, "aug_out_s4": views(face)[0]}


def _check_terms_alone(scene: ReferenceScene, case: Case, manifest: Notes) -> None:
    terms = case.terms(scene)
    for key in (key for key in terms if f"grad_{key}" in case.given):
        alone = case.guided(scene, terms[key])
        _assert_gradient(case, f"grad_{key}", alone, manifest)


def _check_antialiased(scene: ReferenceScene, case: Case, manifest: Notes) -> None:
    """With one quirk less. (The gradient with EyeNet in eval mode cannot be had: its running
    statistics were those that the reference's earlier calls had left behind.)"""
    if "grad_antialias_resize" in case.given:
        parser = replace(scene.models.parser, resize=resize)
        fixed = replace(scene, models=replace(scene.models, parser=parser))
        guided = case.guided(fixed, *case.terms(fixed).values())
        _assert_gradient(case, "grad_antialias_resize", guided, manifest)


def _assert_gradient(case: Case, key: str, guided: GuidedPrediction, manifest: Notes) -> None:
    near, *_ = tolerances(manifest, "cond_fn grad")
    assert_near(f"{case.name}/{key}", guided.gradient, case.given[key], near)
