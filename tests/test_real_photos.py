"""Real photographs, which packages on PyPI ship, and files of every kind."""

import math
import subprocess
import sys

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.__main__ import main
from guided_face_edit.editor_core.demo.groups import draw_group_photos
from guided_face_edit.editor_core.demo.models import WEIGHTS
from guided_face_edit.editor_core.face.aligning import align_faces, crop_faces, quads
from guided_face_edit.editor_core.face.detecting import FaceDetector
from guided_face_edit.editor_core.face.pasting import paste_faces
from guided_face_edit.editor_core.face.templates import TEMPLATES, template_named
from guided_face_edit.editor_core.face.yunet import detect_faces, open_network
from guided_face_edit.editor_core.images import (
    from_picture,
    read_image,
    read_photo,
    to_levels,
    to_picture,
    write_png,
)
from guided_face_edit.tests.support import shipped


@pytest.fixture(scope="module")
def yunet():
    pytest.importorskip("cv2")
    return shipped.yunet()


@pytest.fixture(scope="module")
def astronaut():
    return read_image(shipped.astronaut())


@pytest.fixture(scope="module")
def face(yunet, astronaut):
    return FaceDetector(yunet).find(astronaut)


def test_the_face_is_found_where_it_is(face):
    assert len(face) == 1 and face.score > 0.8
    eyes, mouth = face.points[0, :2], face.points[0, 3:]
    expected = torch.tensor([[200.0, 102], [247, 103]]), torch.tensor([[199.0, 143], [240, 144]])
    assert (eyes - expected[0]).norm(dim=1).max() < 5
    assert (mouth - expected[1]).norm(dim=1).max() < 5


def _lean(faces):
    """Degrees by which the crop of the only face is turned, clockwise."""
    corners = quads(align_faces(faces, template_named("ffhq"), 256))[0]
    x, y = (corners[1] - corners[0]).tolist()
    return math.degrees(math.atan2(y, x))


@pytest.mark.parametrize("angle", [-50, -25, 15, 50])
def test_a_leaning_head_is_cut_out_upright(yunet, astronaut, face, angle):
    """As upright as the head that does not lean, whose crop is turned by some degrees too."""
    leaning = to_picture(astronaut[0]).rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    found = FaceDetector(yunet).find(from_picture(leaning)[None])
    assert _lean(found) - _lean(face) == pytest.approx(angle, abs=4)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_round_trip_leaves_the_photo_as_it_was(face, astronaut, name):
    faces = align_faces(face, template_named(name), 256)
    crops = crop_faces(astronaut, faces).image
    kept = ((crops + 1) * 127.5).round() / 127.5 - 1
    pasted = paste_faces(astronaut, faces, kept)
    assert (pasted.image - astronaut).abs().max() < 1 / 255
    assert torch.equal(pasted.image[pasted.mask == 0], astronaut[pasted.mask == 0])


def test_the_detector_opens_without_a_warning(yunet, astronaut, capfd):
    FaceDetector(yunet).find(astronaut)
    assert capfd.readouterr() == ("", "")


def test_yunet_sees_what_opencv_makes_of_it(yunet, astronaut):
    cv2 = pytest.importorskip("cv2")
    levels = to_levels(astronaut, (512, 512)).flip(2).contiguous().numpy()
    _, expected = cv2.FaceDetectorYN.create(str(yunet), "", (512, 512), 0.6).detect(levels)
    found = detect_faces(open_network(yunet), astronaut, 1.0, 0.6)
    surest = found[found[:, 14].argmax()]
    torch.testing.assert_close(surest, torch.from_numpy(expected[0]), atol=1e-4, rtol=0)


def test_a_network_of_another_kind_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "relu", [value], [out])
    opsets = [onnx.helper.make_opsetid("", 13)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "a.onnx"
    )
    with pytest.raises(ValueError, match="a.onnx is no YuNet of 2023, expected its outputs: put"):
        FaceDetector(tmp_path / "a.onnx").find(torch.zeros(1, 32, 32, 3))


def test_a_crowd_is_found_whole(yunet, astronaut):
    """Forty times the same face, small and large, each once."""
    small = torch.nn.functional.interpolate(
        astronaut.movedim(-1, 1)[:, :, 0:256, 100:356],
        scale_factor=0.75,
        antialias=True,
        mode="bilinear",
    )
    crowd = small.movedim(1, -1).clamp(0, 1).repeat(1, 5, 8, 1)
    faces = FaceDetector(yunet).find(crowd)
    assert len(faces) == 40
    assert len(FaceDetector(yunet, min_size=200).find(crowd)) == 0


@pytest.mark.parametrize("size", [(1, 1), (37, 2000), (2000, 37), (64, 64)])
def test_pictures_without_faces_of_any_shape_end_well(yunet, size):
    faces = FaceDetector(yunet).find(torch.rand(2, *size, 4))
    assert len(faces) == 0 and faces.without_faces() == [0, 1]


def test_a_detector_that_opencv_cannot_read_is_refused(yunet, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(yunet.read_bytes()[:5000])
    with pytest.raises(ValueError, match="OpenCV cannot read .*broken.onnx: put face_detection"):
        FaceDetector(tmp_path / "broken.onnx").find(torch.zeros(1, 32, 32, 3))


def test_without_opencv_it_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "yunet.onnx").touch()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match="needs OpenCV.*pip install opencv-python-headless"):
        FaceDetector(tmp_path / "yunet.onnx").find(torch.zeros(1, 32, 32, 3))


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("L", 3), ("LA", 4), ("P", 3), ("RGB", 3), ("RGBA", 4), ("CMYK", 3), ("I;16", 3)],
)
def test_a_photo_file_of_any_kind_is_read(tmp_path, mode, channels):
    picture = Image.new("L", (20, 10), 128).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.new("I;16", (20, 10), 128 * 257)
    picture.save(tmp_path / "a.tiff")
    photo = read_photo(tmp_path / "a.tiff")
    assert photo.shape == (1, 10, 20, channels)
    assert photo[..., :3].mean().item() == pytest.approx(128 / 255, abs=0.02)


def test_a_photo_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert read_photo(tmp_path / "a.jpg").shape == (1, 20, 10, 3)


LARGE = """
import importlib, resource, sys
import torch
sys.path.insert(0, {root!r})
from editor_core.demo.groups import draw_group_photos
from editor_core.demo.models import load_demo_models
from editor_core.images import read_photo
from editor_core.photos import edit_photos
from editor_core.presets import preset
from dataclasses import replace

torch.set_num_threads(1)
models = load_demo_models()
faces = draw_group_photos(0, 5, 1, (300, 400)).faces
faces = replace(faces, size=(3000, 4000), box=faces.box * 10, points=faces.points * 10)
settings = replace(preset("demo"), respacing="2", skip=0, candidates=1)
source = torch.rand(1, 64, 64, 3)
mask = torch.ones(1, 64, 64).expand(5, -1, -1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
edited = edit_photos(models, source, read_photo({photo!r}), faces, settings, mask=mask)
assert len(edited.distances) == 5
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.slow
def test_five_faces_in_twelve_megapixels_fit_in_one_and_a_half_gigabytes(tmp_path, root):
    """All that a run needs over the models, photo, edit and all, at its highest."""
    photo = draw_group_photos(0, 5, 1, (300, 400)).image.movedim(-1, 1)
    large = torch.nn.functional.interpolate(photo, (3000, 4000), mode="bilinear")
    write_png(tmp_path / "large.png", large.movedim(1, -1)[0])
    code = LARGE.format(root=str(root), photo=str(tmp_path / "large.png"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.split()[-1]) < 1.5


def test_swap_finds_the_face_of_a_photo_by_the_detector(yunet, astronaut, tmp_path):
    photo, edited = tmp_path / "photo.png", tmp_path / "edited.png"
    write_png(photo, astronaut)
    pictures = (str(photo), str(photo), "--out", str(edited), "--detector", str(yunet))
    few = ("--preset", "demo", "--respacing", "2", "--skip", "0", "--candidates", "1")
    assert main(["swap", *pictures, "--models", str(WEIGHTS), *few]) == 0
    rows = (read_image(edited) - astronaut).abs().amax((0, 2, 3)).nonzero()
    assert rows.min() > 20 and rows.max() < 220
