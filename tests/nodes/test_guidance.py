"""The nodes of the guidance terms."""

import re
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.face.landmarks import FaceLandmarker
from guided_face_edit.editor_core.guidance.terms import TERMS, BlendshapeTerm
from guided_face_edit.editor_core.models.l2cs import L2CS
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.nodes import NODES
from guided_face_edit.nodes.guidance import Chain, TermNode
from guided_face_edit.nodes.host import ManagedModel
from guided_face_edit.tests.support.clip import managed_clip
from guided_face_edit.tests.support.mesh import WarpedMesh
from guided_face_edit.tests.support.running import identity_and_pixel, load, run, sample
from guided_face_edit.tests.support.tiny import TINY_L2CS

TERM_NODES = {node.term: node for node in NODES if issubclass(node, TermNode)}
MODELS = {
    "FACE_IDENTITY_MODEL": "IdentityModel",
    "FACE_PARSER": "FaceParser",
    "FACE_GAZE_MODEL": "GazeModel",
    "FACE_LPIPS_MODEL": "LpipsModel",
}
ALWAYS = {"start_percent": 0.0, "end_percent": 1.0}


def names(chain):
    return [term.name for term in chain.terms]


def wired(node, eyes):
    """Everything that a node must be wired to."""
    sockets = {each.id: each.io_type for each in node.GET_SCHEMA().inputs if not each.optional}
    known = {name: load(MODELS[kind]) for name, kind in sockets.items() if kind in MODELS}
    known |= {"landmarker": small_landmarker()} if "landmarker" in sockets else {}
    other = {"eyes": eyes, "clip_model": managed_clip(), "prompt": "a beard"}
    return known | {name: each for name, each in other.items() if name in sockets}


def small_landmarker():
    """A mesh that sees a head in any picture; none is bundled."""
    network = WarpedMesh().requires_grad_(False)
    return ManagedModel.of(FaceLandmarker(network, size=36), network)


def test_every_term_has_one_node():
    assert set(TERM_NODES) == set(TERMS)
    assert len(TERM_NODES) == sum(issubclass(node, TermNode) for node in NODES)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_term_guides_an_edit(term, pair, mask, embedding, eyes):
    node = TERM_NODES[term]
    asked = {"smile": 1.0} if term is BlendshapeTerm else {}
    (chain,) = run(node.__name__, scale=20.0, **wired(node, eyes), **ALWAYS, **asked)
    assert [type(each) for each in chain.terms] == [term]
    _, free, _ = sample(pair, mask, embedding, guidance=None, candidates=1)
    _, best, metrics = sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert len(metrics.series[term.name]) == 3 and not torch.equal(best, free)


def test_a_second_term_of_a_kind_is_recorded_apart(pair, mask, embedding):
    chain = identity_and_pixel()
    (chain,) = run("PixelGuidance", guidance=chain, scale=1.0)
    *_, metrics = sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert list(metrics.series) == ["identity", "pixel", "pixel 2"]


def test_the_views_are_those_of_the_node(eyes):
    chain = identity_and_pixel(max_rotation=3.0, max_shift=0.0, max_inset=0.2, probability=0.5)
    views = chain.terms[0].views
    assert vars(views) == {
        "copies": 2,
        "max_rotation": 3.0,
        "max_shift": 0.0,
        "max_inset": 0.2,
        "probability": 0.5,
    }


@pytest.fixture
def face_gaze(folders, eyes):
    """A small L2CS-Net as the host finds it, and the eyes it looks for."""
    path = Path(folders.models_dir, "face_edit", "gaze", "L2CSNet_gaze360.pkl")
    torch.save(L2CS(TINY_L2CS).state_dict(), path)
    (model,) = run("LoadGazeModel", model_name=path.name)
    path.unlink()
    return {"gaze_model": model, "eyes": eyes}


def test_the_gaze_of_a_whole_face_is_given_in_degrees_and_guides(face_gaze, pair, mask, embedding):
    text, arrows = run("EstimateGaze", image=pair[1], **face_gaze)
    assert re.fullmatch(r"0: [+-]\d+\.\d up, [+-]\d+\.\d right", text)
    assert arrows.shape == pair[1].shape
    (chain,) = run("GazeGuidance", scale=20.0, **face_gaze, **ALWAYS)
    *_, metrics = sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert len(metrics.series["gaze"]) == 3


def test_the_gaze_is_kept_or_set(eyes):
    wired = {"gaze_model": load("GazeModel"), "eyes": eyes}
    (kept,) = run("GazeGuidance", scale=20.0, **wired, **ALWAYS)
    (asked,) = run("GazeGuidance", scale=20.0, mode="set", pitch=5.0, yaw=-10.0, **wired, **ALWAYS)
    assert kept.terms[0].goal == GazeGoal() and kept.terms[0].goal.mode == "keep"
    assert asked.terms[0].goal == GazeGoal("set", 5.0, -10.0)
    with pytest.raises(ValueError, match='mode is "away", expected "keep" or "set"'):
        run("GazeGuidance", scale=20.0, mode="away", **wired, **ALWAYS)


def test_terms_come_in_the_order_of_the_wires_and_a_scale_of_0_adds_none():
    chain = identity_and_pixel()
    assert names(chain) == ["identity", "pixel"]
    assert run("PixelGuidance", guidance=chain, scale=0.0) == (chain,)
    assert run("PixelGuidance", scale=0.0) == (Chain(),)


def test_a_preset_is_a_whole_chain_without_what_is_not_needed(eyes):
    needed = {"identity_model": load("IdentityModel"), "parser": load("FaceParser")}
    extra = {"gaze_model": load("GazeModel"), "lpips_model": load("LpipsModel")}
    (few,) = run("GuidancePreset", preset="demo", **needed)
    (all_,) = run("GuidancePreset", preset="demo", eyes=eyes, **needed, **extra)
    assert names(few) == ["identity", "parsing", "pixel"]
    assert names(all_) == ["identity", "parsing", "gaze", "pixel", "lpips"]
    for term in all_.terms:
        weight = getattr(preset("demo"), term.name)
        assert (term.scale, term.window) == (weight.scale, weight.window)
    assert all_.terms[0].views.copies == preset("demo").views
    assert {*few.models} == {*needed.values()} and {*all_.models} == {
        *needed.values(),
        *extra.values(),
    }
    with pytest.raises(ValueError, match="the gaze needs eyes, got none"):
        run("GuidancePreset", preset="demo", **needed, **extra)
    with pytest.raises(ValueError, match='preset is "best", expected one of'):
        run("GuidancePreset", preset="best", **needed)


def test_a_term_acts_in_its_mask_alone(pair, mask, embedding):
    half = mask.clone()
    half[..., 32:] = 0
    (chain,) = run("PixelGuidance", scale=500.0, mask=half, **ALWAYS)
    options = {"sampler": "ddim", "candidates": 1, "skip": 3}  # of 4 steps: nothing spreads
    _, free, _ = sample(pair, mask, embedding, guidance=None, **options)
    _, best, _ = sample(pair, mask, embedding, guidance=chain, **options, gradient="estimate")
    assert torch.equal(best[:, :, 32:], free[:, :, 32:])
    assert not torch.equal(best[:, :, :32], free[:, :, :32])
