"""Every node: what its schema promises, and what it does under inference mode."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import guided_face_edit
from guided_face_edit.editor_core.images import read_image, write_png
from guided_face_edit.editor_core.models.l2cs import L2CS
from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.nodes import NODES
from guided_face_edit.nodes.host import fingerprint
from guided_face_edit.tests.support.running import BY_NAME, QUICK, load, run
from guided_face_edit.tests.support.tiny import TINY_L2CS

WORDS = {"IMAGE", "MASK", "INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "FACES", "BOUNDING_BOX"}


@pytest.fixture(params=NODES, ids=lambda node: node.__name__)
def schema(request):
    return request.param.GET_SCHEMA()


@pytest.fixture(scope="module")
def pair():
    source, target, truth = run("DrawDemoPortraits", seed=0, pairs=1)
    return source, target, truth


@pytest.fixture(scope="module")
def parsing(pair):
    return run("ParseFace", parser=load("FaceParser"), image=pair[1])[0]


@pytest.fixture(scope="module")
def mask(parsing):
    return run("FaceMask", parsing=parsing, parts="face", grow=0, feather=0.0)[0]


@pytest.fixture(scope="module")
def embedding(pair):
    return run("EmbedIdentity", identity_model=load("IdentityModel"), image=pair[0], average=True)[
        0
    ]


def test_the_pack_lists_every_node_once(root):
    extension = asyncio.run(guided_face_edit.comfy_entrypoint())
    listed = asyncio.run(extension.get_node_list())
    assert len({node.define_schema().node_id for node in listed}) == len(listed) == 35
    assert (root / guided_face_edit.WEB_DIRECTORY).is_dir()


def test_a_class_is_named_as_its_node():
    assert [node.define_schema().node_id for node in NODES] == [f"FaceEdit_{n}" for n in BY_NAME]


def test_names_follow_the_rules(schema):
    assert re.fullmatch(r"FaceEdit_([A-Z][a-z0-9]*)+", schema.node_id)
    assert schema.display_name and schema.display_name[0].isupper()
    assert re.fullmatch(
        r"face editing/(loaders|photos|analysis|guidance|sampling|report)", schema.category
    )
    assert len(schema.description) > 20


def test_every_input_says_what_it_does(schema):
    for each in schema.inputs:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", each.id)
        assert each.tooltip and each.tooltip.endswith("."), each.id
        if each.io_type in ("INT", "FLOAT"):
            assert each.min <= each.default <= each.max, each.id
        assert each.io_type in WORDS or each.io_type.startswith("FACE_")


def test_a_seed_says_that_it_is_stepped(schema):
    """The page steps every number of that name, and keeps a widget's value for it."""
    for each in schema.inputs:
        assert bool(getattr(each, "control_after_generate", None)) == (each.id == "seed")


def test_every_node_has_its_help_page(schema, root):
    page = (root / "web" / "docs" / f"{schema.node_id}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {schema.display_name}\n")
    for each in (*schema.inputs, *schema.outputs):
        assert f"{each.id or each.display_name}" in page


def test_one_file_is_loaded_once_while_it_is_used():
    assert load("FaceParser") is load("FaceParser")
    assert load("FaceParser") is not load("GazeModel")


def test_a_changed_file_changes_the_fingerprint(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"1")
    before = fingerprint(path)
    path.write_bytes(b"22")
    assert fingerprint(path) != before


def test_a_missing_model_says_where_it_belongs():
    node = BY_NAME["LoadIdentityModel"]
    verdict = node.validate_inputs(model_name="Arcface.tar")
    assert "models/face_edit/identity" in verdict and "CC BY-NC" in verdict
    assert node.validate_inputs() is True
    with pytest.raises(FileNotFoundError, match=r"no identity model Arcface.tar"):
        run("LoadIdentityModel", model_name="Arcface.tar")


def test_the_diffusion_model_comes_in_the_precision_asked_for():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        (hosted,) = run(
            "LoadFaceDiffusionModel", model_name="demo.safetensors", precision=precision
        )
        assert next(hosted.model.network.parameters()).dtype == dtype
    with pytest.raises(ValueError, match='precision is "int8", expected one of: fp32'):
        run("LoadFaceDiffusionModel", model_name="demo.safetensors", precision="int8")


def test_a_diffusers_folder_is_a_diffusion_model(folders, pair, mask, embedding):
    folder = Path(folders.models_dir, "face_edit", "diffusion", "toy")
    folder.mkdir(parents=True)
    network = UNet2D(UNet2DConfig((32, 32), 1, ()))
    torch.save(network.state_dict(), folder / "diffusion_pytorch_model.bin")
    told = {"sample_size": 64, "attention_head_dim": None, "downsample_padding": 0}
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "scheduler_config.json").write_text(json.dumps({"variance_type": "fixed_small"}))
    name = "toy/diffusion_pytorch_model.bin"
    assert name in folders.get_filename_list("face_edit_diffusion")
    (model,) = run("LoadFaceDiffusionModel", model_name=name, precision="fp32")
    candidates, best, _ = _sample(pair, mask, embedding, model=model)
    kept = (mask == 0)[..., None].expand_as(best)
    assert candidates.shape == (2, 64, 64, 3) and torch.equal(best[kept], pair[1][kept])
    assert not torch.equal(best, pair[1])
    shutil.rmtree(folder)


def test_a_mask_is_of_the_parts_that_are_named(parsing):
    (eyes,) = run("FaceMask", parsing=parsing, parts="l_eye, R_EYE", grow=0, feather=0.0)
    (face,) = run("FaceMask", parsing=parsing, parts="face", grow=0, feather=0.0)
    (wide,) = run("FaceMask", parsing=parsing, parts="face", grow=3, feather=1.0)
    assert eyes.shape == face.shape == (1, 64, 64)
    assert 0 < eyes.sum() < face.sum() < wide.sum() and (eyes <= face).all()
    with pytest.raises(ValueError, match='no part "ear", expected face, background, skin'):
        run("FaceMask", parsing=parsing, parts="ear", grow=0, feather=0.0)


def test_eyes_are_found_in_a_parsing_and_in_landmarks(pair, parsing):
    boxes, left, right, preview = run("CropEyes", image=pair[1], parsing=parsing)
    assert left.shape == right.shape == (1, 96, 160, 3)
    assert preview.shape == pair[1].shape and not torch.equal(preview, pair[1])
    points = torch.zeros(478, 2)
    for index, x in zip((33, 133, 362, 263), (18.0, 27, 37, 46), strict=True):
        points[index] = torch.tensor([x, 30.0])
    marks = {"frames": [[{"landmarks_xy": points.numpy()}]]}
    found, *_ = run("CropEyes", image=pair[1], parsing=parsing, face_landmarks=marks)
    assert found.left[0, 0] < 18 and found.right[0, 2] > 46
    with pytest.raises(ValueError, match="neither parsing nor landmarks"):
        run("CropEyes", image=pair[1])
    with pytest.raises(ValueError, match="picture 0 has no landmarks"):
        run("CropEyes", image=pair[1], face_landmarks={"frames": [[]]})


def test_gaze_is_told_in_degrees_and_drawn(pair, parsing):
    boxes, *_ = run("CropEyes", image=pair[1], parsing=parsing)
    text, arrows = run("EstimateGaze", gaze_model=load("GazeModel"), image=pair[1], eyes=boxes)
    assert re.fullmatch(r"0: [+-]\d+\.\d up, [+-]\d+\.\d right", text)
    assert arrows.shape == pair[1].shape and not torch.equal(arrows, pair[1])


@pytest.fixture
def face_gaze(folders, pair, parsing):
    """A small L2CS-Net as the host finds it, and the eyes it looks for."""
    path = Path(folders.models_dir, "face_edit", "gaze", "L2CSNet_gaze360.pkl")
    torch.save(L2CS(TINY_L2CS).state_dict(), path)
    boxes, *_ = run("CropEyes", image=pair[1], parsing=parsing)
    (model,) = run("LoadGazeModel", model_name=path.name)
    path.unlink()
    return {"gaze_model": model, "eyes": boxes}


def test_the_gaze_of_a_whole_face_is_told_and_guides(face_gaze, pair, mask, embedding):
    text, arrows = run("EstimateGaze", image=pair[1], **face_gaze)
    assert re.fullmatch(r"0: [+-]\d+\.\d up, [+-]\d+\.\d right", text)
    assert arrows.shape == pair[1].shape
    pull = {"scale": 20.0, "start_percent": 0.0, "end_percent": 1.0}
    (chain,) = run("GazeGuidance", **face_gaze, **pull)
    *_, metrics = _sample(pair, mask, embedding, guidance=chain, candidates=1)
    assert len(metrics.series["gaze"]) == 3


def test_identities_are_averaged_or_kept_apart():
    source, target, _ = run("DrawDemoPortraits", seed=4, pairs=2)
    images = torch.cat([source, target])
    model = load("IdentityModel")
    (each,) = run("EmbedIdentity", identity_model=model, image=images, average=False)
    (mean,) = run("EmbedIdentity", identity_model=model, image=images, average=True)
    assert each.shape == (4, 256) and mean.shape == (1, 256)
    torch.testing.assert_close(mean.norm(), torch.tensor(1.0))
    distance, text = run("IdentityDistance", identity_model=model, image=images, embedding=each)
    assert distance == pytest.approx(0, abs=1e-5) and len(text.splitlines()) == 4


def test_a_saved_identity_is_the_one_that_is_loaded(folders, embedding):
    (path,) = run("SaveIdentityEmbedding", embedding=embedding, filename_prefix="me")
    name = Path(path).name
    assert name in folders.get_filename_list("face_edit_embeddings")
    (loaded,) = run("LoadIdentityEmbedding", embedding_name=name)
    assert torch.equal(loaded, embedding)


def _chain(model):
    pull = {"scale": 20.0, "start_percent": 0.0, "end_percent": 1.0}
    views = {"max_rotation": 15.0, "max_shift": 0.1, "max_inset": 0.35, "probability": 0.7}
    (one,) = run("IdentityGuidance", identity_model=model, views=2, **pull, **views)
    (two,) = run("PixelGuidance", guidance=one, **pull)
    return two


def _sample(pair, mask, embedding, /, **changes):
    inputs = {
        "model": load("FaceDiffusionModel"),
        "target": pair[1],
        "mask": mask,
        "embedding": embedding,
        "guidance": _chain(load("IdentityModel")),
    }
    return run("GuidedFaceSampler", **inputs | QUICK | changes)


def test_links_come_in_the_order_of_the_wires_and_a_scale_of_0_adds_none():
    chain = _chain(load("IdentityModel"))
    assert [link.guidance.name for link in chain] == ["identity", "pixel"]
    none = {"scale": 0.0, "start_percent": 0.0, "end_percent": 1.0}
    assert run("PixelGuidance", guidance=chain, **none) == (chain,)
    assert run("PixelGuidance", **none) == ((),)


def test_a_preset_is_a_whole_chain_without_what_is_not_wired(pair, parsing):
    boxes, *_ = run("CropEyes", image=pair[1], parsing=parsing)
    wired = {"identity_model": load("IdentityModel"), "parser": load("FaceParser")}
    extra = {"gaze_model": load("GazeModel"), "lpips_model": load("LpipsModel")}
    (few,) = run("GuidancePreset", preset="demo", **wired)
    (all_,) = run("GuidancePreset", preset="demo", eyes=boxes, **wired, **extra)
    assert {link.guidance.name for link in all_} - {link.guidance.name for link in few} == {
        "gaze",
        "lpips",
    }
    with pytest.raises(ValueError, match="the gaze needs eyes, got none"):
        run("GuidancePreset", preset="demo", **wired, **extra)
    with pytest.raises(ValueError, match='preset is "best", expected one of'):
        run("GuidancePreset", preset="best", **wired)


def test_the_sampler_edits_inside_the_mask_alone(pair, mask, embedding):
    candidates, best, metrics = _sample(pair, mask, embedding)
    assert candidates.shape == (2, 64, 64, 3) and torch.equal(candidates[:1], best)
    kept = (mask == 0)[..., None].expand_as(best)
    assert torch.equal(best[kept], pair[1][kept]) and not torch.equal(best, pair[1])
    assert [len(series) for series in metrics.series.values()] == [3, 3]


def test_candidates_are_ranked_by_identity(pair, mask, embedding):
    candidates, *_ = _sample(pair, mask, embedding)
    model = load("IdentityModel")
    first, second = (
        run("IdentityDistance", identity_model=model, image=each[None], embedding=embedding)[0]
        for each in candidates
    )
    assert first <= second


def test_a_batch_of_targets_shares_one_mask_and_one_identity(mask, embedding):
    _, targets, _ = run("DrawDemoPortraits", seed=0, pairs=2)
    both, best, _ = _sample((None, targets), mask, embedding, candidates=1)
    alone, *_ = _sample((None, targets[:1]), mask, embedding, candidates=1)
    assert len(both) == len(best) == 2
    torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-4)


def test_the_sampler_shows_every_step_and_stops_when_told(pair, mask, embedding):
    import comfy.model_management as memory
    import comfy.utils

    comfy.utils.ProgressBar.updates.clear()
    _sample(pair, mask, embedding)
    shown = comfy.utils.ProgressBar.updates
    assert [(done, total) for done, total, _ in shown] == [(1, 3), (2, 3), (3, 3)]
    assert all(kind == "JPEG" and picture.size == (64, 64) for _, _, (kind, picture, _) in shown)
    memory.interrupted = True
    with pytest.raises(memory.InterruptProcessingException):
        _sample(pair, mask, embedding)
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skip": 4}, "skip is 4 of 4 steps: skip fewer than 4"),
        ({"sampler": "euler"}, 'sampler is "euler", expected "ddpm" or "ddim"'),
        ({"mask": torch.ones(1, 32, 64)}, "mask is 32x64, image is 64x64: resize the mask first"),
        ({"mask": torch.zeros(1, 64, 64)}, "mask 0 is empty"),
        ({"target": torch.rand(1, 128, 96, 3)}, "target is 128x96, the model edits 64x64"),
        ({"embedding": torch.rand(3, 256)}, "got 3 embeddings for 1 targets"),
        ({"embedding": None}, "identity guidance needs an embedding"),
        ({"keep_background": False}, "there is no parser: give one, or keep the background"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_the_numbers(
    pair, mask, embedding, changes, message
):
    with pytest.raises(ValueError, match=message):
        _sample(pair, mask, embedding, **changes)


def test_pictures_in_half_precision_are_taken(pair, mask, embedding):
    half = tuple(image.half() for image in pair)
    candidates, *_ = _sample(half, mask.half(), embedding)
    assert candidates.dtype == torch.float32


def test_metrics_are_plotted_and_saved_whole(pair, mask, embedding):
    *_, metrics = _sample(pair, mask, embedding)
    (plot,) = run("MetricsPlot", metrics=metrics)
    assert plot.ndim == 4 and plot.shape[3] == 3
    paths = [
        run("SaveMetrics", metrics=metrics, filename_prefix="a/b", format=kind)[0]
        for kind in ("json", "csv", "json")
    ]
    assert len(set(paths)) == 3
    assert set(json.loads(Path(paths[0]).read_text())) == {"identity", "pixel"}
    assert Path(paths[1]).read_text().startswith("metric,t,picture,value\n")


def test_a_saved_edit_says_what_it_is(folders, pair):
    output = BY_NAME["SaveEditedImage"].run({"images": pair[1], "filename_prefix": "x/edit"})
    (saved,) = output.ui.as_dict()["images"]
    assert saved["subfolder"] == "x" and saved["type"] == "output"
    path = Path(folders.get_output_directory(), "x", saved["filename"])
    with Image.open(path) as picture:
        assert "compositeWithTrainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    assert (read_image(path) - pair[1]).abs().max() <= 0.5 / 255 + 1e-6


def test_a_sheet_has_a_panel_for_all_that_is_wired(pair, parsing, mask):
    (one,) = run("ComparisonSheet", side=64, target=pair[1])
    shown = {"source": pair[0], "parsing": parsing, "mask": mask, "edited": pair[2]}
    (five,) = run("ComparisonSheet", side=64, target=pair[1], **shown)
    assert five.shape[1] == one.shape[1] and five.shape[2] > 4.5 * 64
    with pytest.raises(ValueError, match="got pictures none"):
        run("ComparisonSheet", side=64)


def test_a_batch_gives_a_sheet_for_each_picture(mask):
    source, target, _ = run("DrawDemoPortraits", seed=0, pairs=3)
    (sheets,) = run("ComparisonSheet", side=64, source=source, target=target, mask=mask)
    assert len(sheets) == 3 and not torch.equal(sheets[0], sheets[1])


@pytest.fixture
def pictures(folders, pair):
    for name, images in (("sources", "ab"), ("targets", "cd")):
        folder = Path(folders.get_input_directory(), name)
        folder.mkdir(exist_ok=True)
        for each in folder.iterdir():
            each.unlink()
        for image in images:
            write_png(folder / f"{image}.png", pair[0])
    return {"source_folder": "sources", "target_folder": "targets"}


def test_pairs_come_in_order_or_every_one_with_every_one(pictures):
    sources, _, names = run("LoadImagePairs", pairing="in order", **pictures)
    assert names == ["a_on_c", "b_on_d"] and sources[0].shape == (1, 64, 64, 3)
    *_, names = run("LoadImagePairs", pairing="every", **pictures)
    assert names == ["a_on_c", "a_on_d", "b_on_c", "b_on_d"]


def test_only_folders_within_the_input_folder_are_read(pictures):
    outside = pictures | {"source_folder": "../output"}
    with pytest.raises(ValueError, match=r'"../output" is no folder in'):
        run("LoadImagePairs", pairing="in order", **outside)


def test_demo_portraits_are_the_same_for_a_seed():
    once, again = (run("DrawDemoPortraits", seed=7, pairs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert once[0].shape == (1, 64, 64, 3) and not torch.equal(once[1], once[2])
