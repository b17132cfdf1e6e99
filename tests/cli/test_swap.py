"""What `swap` writes, and how it refuses: one line, exit code 2, nothing half-written."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core import presets
from guided_face_edit.editor_core.__main__ import main
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.demo.groups import draw_group_photos, draw_references
from guided_face_edit.editor_core.demo.models import WEIGHTS
from guided_face_edit.editor_core.files import sha256
from guided_face_edit.editor_core.images import read_image, write_png
from guided_face_edit.editor_core.models.bisenet import BiSeNet
from guided_face_edit.editor_core.models.iresnet import IResNet
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.editor_core.settings import TermSettings
from guided_face_edit.tests.support.tiny import EVEN_UNET, TINY_ENCODER, TINY_PARSER, seeded

SIZE = 32


UNET = replace(EVEN_UNET, num_heads=1, head_channels=None, identity_channels=24)


def _parser(sees_skin):
    """A parser that labels everything skin, or everything background."""
    network = seeded(lambda: BiSeNet(TINY_PARSER))
    weight = network.conv_out.conv_out.weight
    weight.zero_()
    weight[1] = float(sees_skin)
    return network


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    unet = {**asdict(UNET), "image_size": SIZE, "schedule": "linear"}
    save_model(folder / "unet.safetensors", seeded(lambda: UNet(UNET)), "diffusion", unet)
    identity = seeded(lambda: IResNet(TINY_ENCODER))
    save_model(folder / "identity.safetensors", identity, "identity", asdict(TINY_ENCODER))
    save_model(folder / "parser.safetensors", _parser(sees_skin=True), "parser", {"size": 32})
    return folder


@pytest.fixture
def folder(tmp_path, models, monkeypatch, generator):
    """A working folder with `source.png`, `target.png` and `models`, and a preset of few steps."""
    few = replace(
        presets.DIFFFACE, gaze=TermSettings(0), respacing="4", skip=1, views=2, candidates=2
    )
    monkeypatch.setitem(presets.PRESETS, "few", few)
    monkeypatch.chdir(tmp_path)
    for name in ("source.png", "target.png"):
        write_png(name, torch.rand(SIZE, SIZE, 3, generator=generator))
    shutil.copytree(models, "models")
    return tmp_path


def _swap(*options):
    return main(["swap", "source.png", "target.png", "--models", "models", *options])


def test_swap_writes_the_closest_candidate(folder, capsys):
    assert _swap("--preset", "few", "--seed", "7", "--out", "edited.png") == 0
    shown = capsys.readouterr()
    assert "identity: models/identity.safetensors, IResNet" in shown.out
    assert "wrote edited.png: identity distance" in shown.out
    assert "editing: 100%" in shown.err and "3/3" in shown.err
    assert read_image("edited.png").shape == (1, SIZE, SIZE, 3)


def test_swap_says_how_the_picture_was_made(folder):
    assert _swap("--preset", "few", "--seed", "7", "--out", "edited.png") == 0
    with Image.open("edited.png") as file:
        text = file.text
    settings = json.loads(text["settings"])
    assert (settings["preset"], settings["seed"], settings["respacing"]) == ("few", 7, "4")
    assert settings["identity"]["window"] == {"start_percent": 0.0, "end_percent": 1.0}
    assert json.loads(text["models"])["unet.safetensors"] == sha256("models/unet.safetensors")
    assert "compositeWithTrainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]


def test_swap_keeps_what_the_mask_leaves_out(folder):
    mask = torch.zeros(SIZE, SIZE, 3)
    mask[8:24, 8:24] = 1
    Image.fromarray((mask[..., 0] * 255).byte().numpy()).save("mask.png")
    assert _swap("--preset", "few", "--mask", "mask.png") == 0
    edited, target = read_image("edited.png"), read_image("target.png")
    assert torch.equal(edited * (1 - mask), target * (1 - mask))
    assert not torch.equal(edited, target)


def test_swap_keeps_nothing_where_keep_is_black(folder):
    Image.new("L", (32, 32)).save("keep.png")
    assert _swap("--preset", "few") == 0
    plain = read_image("edited.png")
    assert _swap("--preset", "few", "--keep", "keep.png") == 0
    assert torch.equal(read_image("edited.png"), plain)


def test_swap_keeps_what_lies_before_the_face(folder):
    keep = torch.zeros(SIZE, SIZE, 3)
    keep[:, 20:28] = 1
    Image.fromarray((keep[..., 0] * 255).byte().numpy()).save("keep.png")
    assert _swap("--preset", "few", "--keep", "keep.png") == 0
    edited, target = read_image("edited.png"), read_image("target.png")
    assert torch.equal(edited * keep, target * keep)
    assert not torch.equal(edited, target)


def test_swap_mixes_people_by_their_weights(folder, capsys):
    write_png("other.png", torch.rand(SIZE, SIZE, 3))

    def distance(*options):
        assert _swap("--preset", "few", *options) == 0
        return capsys.readouterr().out.splitlines()[-1].rpartition(" ")[2]

    alone = distance()
    assert distance("--mix", "other.png", "0") == alone
    assert distance("--mix", "source.png", "3") == alone
    assert distance("--mix", "other.png", "1") != alone


def test_swap_refuses_weights_that_are_none(folder, capsys):
    message = _refused(capsys, "--preset", "few", "--mix", "source.png", "much")
    assert "--mix source.png much: expected a number" in message


def test_swap_gives_a_photo_back_at_its_own_size(folder, capsys):
    write_png("target.png", torch.rand(48, 48, 3))
    assert _swap("--preset", "few") == 0
    assert "target.png: 48x48, taken for one aligned face" in capsys.readouterr().out
    assert read_image("edited.png").shape == (1, 48, 48, 3)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "F"])
def test_swap_takes_pictures_of_any_kind(folder, mode):
    picture = Image.fromarray((torch.rand(40, 40) * 255).byte().numpy()).convert(mode)
    picture.save("target.png", format="TIFF" if mode == "F" else "PNG")
    assert _swap("--preset", "few") == 0
    channels = 4 if "A" in mode else 3
    with Image.open("edited.png") as edited:
        assert len(edited.getbands()) == channels and edited.size == (40, 40)


GROUP = (270, 480)


@pytest.fixture
def group(folder):
    """A photo of three people as the target; where their faces are, in the command's words."""
    photos = draw_group_photos(0, 3, 1, GROUP)
    write_png("target.png", photos.image)
    return [",".join(f"{x:.1f}" for x in face.flatten().tolist()) for face in photos.faces.points]


def _edited_columns():
    """The first and the last column of the photo that changed."""
    change = (read_image("edited.png") - read_image("target.png")).abs().amax((0, 1, 3))
    columns = change.nonzero().flatten()
    return columns.min().item(), columns.max().item()


def test_swap_edits_the_face_that_is_given_and_keeps_the_photo(folder, group):
    assert _swap("--preset", "few", "--at", group[1]) == 0
    assert read_image("edited.png").shape == (1, *GROUP, 3)
    assert sum(_edited_columns()) / 2 == pytest.approx(235, abs=20)


@pytest.mark.parametrize(("face", "left", "right"), [("2", 280, 479), ("0,1", 0, 330)])
def test_swap_edits_the_faces_of_those_numbers(folder, group, face, left, right):
    assert _swap("--preset", "few", "--at", "\n".join(group), "--face", face) == 0
    assert _edited_columns() == pytest.approx((left, right), abs=25)


def test_swap_edits_the_face_of_the_reference(folder, group):
    write_png("reference.png", draw_references(0, 3, [2]))
    write_png("source.png", draw_references(1, 1, [0]))
    few = ("--preset", "demo", "--respacing", "3", "--skip", "1", "--candidates", "1")
    which = ("--at", "\n".join(group), "--reference", "reference.png", "--face", "all")
    assert main(["swap", "source.png", "target.png", "--models", str(WEIGHTS), *few, *which]) == 0
    assert _edited_columns()[0] > 320


def test_swap_names_the_face_that_cannot_be_edited_or_leaves_it(folder, group, capsys):
    """The wall beside three people shows no eyes."""
    write_png("source.png", draw_references(1, 1, [0]))
    few = ("--preset", "demo", "--respacing", "3", "--skip", "1", "--candidates", "1")
    faces = ("--at", "\n".join([group[0], "440,0,479,30"]), "--face", "all")
    command = ["swap", "source.png", "target.png", "--models", str(WEIGHTS), *few, *faces]
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: face 1 of target.png shows no l_eye, expected both eyes")
    assert error.endswith("or leave it as it is and edit the others by --pass-through")
    assert main([*command, "--pass-through"]) == 0
    assert "left as it is: face 1 of target.png shows no l_eye" in capsys.readouterr().out
    passed = read_image("edited.png")
    alone = ["swap", "source.png", "target.png", "--models", str(WEIGHTS), *few, "--at", group[0]]
    assert main(alone) == 0
    assert torch.equal(read_image("edited.png"), passed)


def _refused(capsys, *options):
    """The one line of a refusal that leaves nothing behind."""
    before = sorted(os.listdir())
    assert _swap("--preset", "few", *options) == 2
    assert sorted(os.listdir()) == before
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "sharp"), 'preset is "sharp", expected one of: diffface'),
        (("--models", "elsewhere"), "no folder elsewhere"),
        (("--out", "missing/edited.png"), "there is no folder"),
        (("--out", "models"), "it exists and is not a regular file"),
        (("--out", "/dev/full"), "it exists and is not a regular file"),
        (("--mask", "mask.png"), "No such file or directory: 'mask.png'"),
        (("--respacing", "0"), 'respacing is "0", expected counts of 1 or more'),
        (("--skip", "4"), "skip is 4 of 4 steps: skip fewer than 4"),
        (("--skip", "-1"), "skip is -1: expected 0 or more"),
        (("--candidates", "0"), "candidates is 0: expected 1 or more"),
        (("--feather", "-1"), "feather is -1.0: expected 0 or more"),
        (("--face", "1"), "there is no face 1 in target.png, expected 0 to 0"),
        (("--face", "nose"), 'faces are "nose", expected numbers from 0 on'),
        (("--at", "1,2,3"), '"1 2 3" gives no face in 1 frames'),
        (("--at", "90,90,99,99"), "face 0 of target.png lies outside its photo of 32x32"),
        (("--detector", "yunet.onnx"), "no detector yunet.onnx: put face_detection_yunet"),
    ],
)
def test_options_that_cannot_be(folder, capsys, options, message):
    assert message in _refused(capsys, *options)


@pytest.mark.parametrize(
    ("mode", "size", "message"),
    [
        ("RGB", (40, 32), "target.png is 32x40, expected a square crop of an aligned face"),
        ("L", (37, 2000), "target.png is 2000x37, expected a square crop of an aligned face"),
        ("RGB", (1, 1), "has a crop of 1 pixels of the photo, expected 4 to 4"),
    ],
)
def test_pictures_that_cannot_be(folder, capsys, mode, size, message):
    Image.new(mode, size).save("target.png", format="TIFF")
    assert message in _refused(capsys)


def test_a_picture_that_is_cut_short(folder, capsys):
    whole = (folder / "source.png").read_bytes()
    (folder / "source.png").write_bytes(whole[:500])
    assert "source.png cannot be decoded" in _refused(capsys)


@pytest.mark.parametrize(
    ("size", "value", "message"),
    [
        (16, 255, "mask.png is 16x16, image is 32x32: resize the mask first"),
        (32, 0, "has an empty mask, expected some white: paint where it may change"),
    ],
)
def test_masks_that_cannot_be(folder, capsys, size, value, message):
    Image.new("L", (size, size), value).save("mask.png")
    assert message in _refused(capsys, "--mask", "mask.png")


def test_a_source_without_a_face(folder, capsys):
    save_model("models/parser.safetensors", _parser(sees_skin=False), "parser", {"size": 32})
    assert "source.png shows no face" in _refused(capsys)
    Path("pairs.csv").write_text("source,target\nsource.png,target.png\n")
    batch = ["batch", "pairs.csv", "--models", "models", "--preset", "few", "--out", "edits"]
    assert main(batch) == 2
    assert '"reason": "source.png shows no face' in Path("edits/report.jsonl").read_text()


def test_a_term_without_its_model(folder, capsys, monkeypatch):
    alike = replace(presets.PRESETS["few"], lpips=TermSettings(1.0))
    monkeypatch.setitem(presets.PRESETS, "alike", alike)
    assert "there is no lpips model: load one" in _refused(capsys, "--preset", "alike")


def test_a_model_that_is_missing(folder, capsys):
    os.remove("models/parser.safetensors")
    assert "no parser model in models: expected FaceParser.pth" in _refused(capsys)


@pytest.mark.parametrize("name", ["unet", "identity", "parser"])
def test_a_model_that_is_cut_short(folder, capsys, name):
    path = folder / "models" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    error = _refused(capsys)
    assert f"{name}.safetensors" in error and "fetch the file again" in error


def test_a_disk_that_fills_up(folder, capsys, monkeypatch):
    def save(self, part, **_):
        part.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device", str(part))

    monkeypatch.setattr(Image.Image, "save", save)
    before = sorted(os.listdir())
    assert _swap("--preset", "few") == 2
    assert sorted(os.listdir()) == before
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: [Errno 28] No space left")
