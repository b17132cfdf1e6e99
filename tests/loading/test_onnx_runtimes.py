"""Networks of ONNX files give the numbers of the runtimes that people run those files in."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.face.aligning import align_faces, crop_faces
from guided_face_edit.editor_core.face.detecting import FaceDetector
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.editor_core.images import read_image
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_identity
from guided_face_edit.editor_core.models.insightface import InsightFace
from guided_face_edit.editor_core.models.mobilefacenet import MobileFaceNet
from guided_face_edit.editor_core.models.sface import SFaceConfig
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.families import SMALL_MOBILE, SMALL_RESNET, randomised


@pytest.fixture(scope="module")
def sface():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is the published file
        return load_identity(shipped.sface())


@pytest.fixture(scope="module")
def levels():
    """The astronaut's face as SFace was shown faces, and noise: (2,3,112,112) in 0 to 255."""
    pytest.importorskip("cv2")
    photo = read_image(shipped.astronaut())
    face = FaceDetector(shipped.yunet()).find(photo)
    crop = crop_faces(photo, align_faces(face, template_named("arcface"), 112)).image
    noise = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return ((torch.cat([crop, noise]) + 1) * 127.5).round()


def test_the_published_sface_is_known(sface):
    report = inspect(shipped.sface())
    assert (report.family, report.licence, report.warnings) == ("SFace", "Apache-2.0", ())
    assert sface.network.config == SFaceConfig() and sface.size == 112
    assert (sface.template, sface.same_person) == ("arcface", 0.637)


def test_sface_gives_the_numbers_of_opencv(sface, levels):
    """Pictures are blue first in OpenCV, which its own recogniser turns for this network."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(shipped.sface()))
    pictures = levels.flip(1).movedim(1, -1).byte().numpy()
    theirs = []
    for picture in pictures:
        network.setInput(cv2.dnn.blobFromImage(picture, swapRB=True), "data")
        theirs.append(torch.from_numpy(network.forward().copy())[0])
    ours = sface.network(levels / 127.5 - 1)
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=0, atol=1e-4)


def test_sface_gives_the_numbers_of_onnxruntime(sface, levels):
    theirs = _run(shipped.sface(), levels)
    torch.testing.assert_close(sface.network(levels / 127.5 - 1), theirs, rtol=0, atol=1e-5)


def test_sface_leads_to_the_picture(sface, levels):
    picture = (levels[:1] / 127.5 - 1).requires_grad_()
    sface.embed(picture).sum().backward()
    assert picture.grad.isfinite().all() and (picture.grad != 0).float().mean() > 0.99


@pytest.mark.parametrize(("folded", "view"), [(True, True), (False, False)])
@pytest.mark.parametrize(
    "network",
    [lambda: InsightFace(SMALL_RESNET), lambda: MobileFaceNet(SMALL_MOBILE)],
    ids=["insightface ResNet", "MobileFaceNet"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_torch_exports_is_the_network(network, folded, view, tmp_path):
    pytest.importorskip("onnx")
    network, path = randomised(network()), tmp_path / "m.onnx"
    if view and isinstance(network, MobileFaceNet):
        network.features.layers[1] = _View()
    faces = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    dynamic = {"input.1": {0: "batch"}} if view else None
    torch.onnx.export(
        network,
        (faces,),
        path,
        dynamo=False,
        training=mode,
        do_constant_folding=folded,
        input_names=["input.1"],
        dynamic_axes=dynamic,
    )
    loaded = load_identity(path).network
    expected = network(faces)
    close = {"rtol": 0, "atol": 1e-5 * expected.abs().max().item()}
    torch.testing.assert_close(loaded(faces), expected, **close)
    torch.testing.assert_close(loaded(faces), _run(path, faces), **close)


class _View(nn.Module):
    """Flattens as insightface does, by a shape that the file computes."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1)


def _run(path, x: Tensor) -> Tensor:
    """What onnxruntime makes of pictures, one after the other where the file takes but one."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    first, *others = session.get_inputs()  # the others are left over from quantisation
    unused = {each.name: np.zeros(each.shape, np.float32) for each in others}
    batches = x.split(first.shape[0] if isinstance(first.shape[0], int) else len(x))
    outputs = [session.run(None, {first.name: b.numpy(), **unused})[0] for b in batches]
    return torch.from_numpy(np.concatenate(outputs))
