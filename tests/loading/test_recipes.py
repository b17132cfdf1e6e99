"""Networks of every family load, those of each kind from every container, with their own input."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.checkpoints.errors import UnsupportedCheckpoint
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.demo.models import demo_file
from guided_face_edit.editor_core.face.eyes import EyeBoxes
from guided_face_edit.editor_core.face.gaze import estimate_gaze
from guided_face_edit.editor_core.face.identity import SAME_PERSON
from guided_face_edit.editor_core.face.parsing import parse_face, parts_named
from guided_face_edit.editor_core.loading.families import FAMILIES
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_gaze, load_identity
from guided_face_edit.editor_core.loading.recipes import RECIPES
from guided_face_edit.editor_core.models.adaface import AdaFace
from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.l2cs import L2CS, L2CSConfig
from guided_face_edit.editor_core.models.parsenet import ParseNet, ParseNetConfig
from guided_face_edit.editor_core.models.segformer import SegFormer
from guided_face_edit.tests.support.containers import CONTAINERS
from guided_face_edit.tests.support.families import (
    CASES,
    LOADERS,
    SMALL_ADAFACE,
    SMALL_PARSENET,
    SMALL_SEGFORMER,
    of_yakhyo,
    randomised,
)

SIZE = 96  # of the pictures
BISENET_ORDER = (
    "background, skin, l_brow, r_brow, l_eye, r_eye, eye_glasses, l_ear, r_ear, ear_ring, nose, "
    "mouth, u_lip, l_lip, neck, neck_lace, cloth, hair, hat"
)
PARSENET_ORDER = (
    "background, skin, nose, eye_glasses, l_eye, r_eye, l_brow, r_brow, l_ear, r_ear, mouth, "
    "u_lip, l_lip, hair, hat, ear_ring, neck_lace, neck, cloth"
)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


NAMING = ("prefixed", "pickled parallel module")  # where the names of a family could matter
OF_A_KIND = {case.kind: case for case in reversed(CASES)}.values()
CONTAINED = [
    (case, container)
    for case in CASES
    for container in CONTAINERS
    if container in NAMING or any(case is first for first in OF_A_KIND)
]


def _title(given: Any) -> str:
    return given if isinstance(given, str) else f"{given.family} {given.size}"


@pytest.fixture(scope="module", params=CASES, ids=_title)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def network(case):
    return randomised(case.network(case.form))


@pytest.fixture(scope="module")
def model(case, network, tmp_path_factory):
    return _loaded(
        case.kind, case.published(network), tmp_path_factory.mktemp("model"), case.config
    )


def _loaded(kind: str, network: nn.Module, folder: Any, config: Any = None) -> Any:
    path = folder / "m.safetensors"
    save_model(path, network, kind, config or {}, dtype=torch.float32)
    return LOADERS[kind](path)


def _images(count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator) * 2 - 1


def _eyes(count: int) -> EyeBoxes:
    left = torch.tensor([[26, 36, 42, 46]]).expand(count, 4)
    return EyeBoxes(left, left + torch.tensor([28, 0, 28, 0]))


def _answer(kind: str, model: Any, image: Tensor) -> Tensor:
    """The output of a model of that kind, as the editor asks for it."""
    if kind == "identity":
        return model.embed(image)
    if kind == "parser":
        return model.logits(image, 24)
    if kind == "landmarks":
        return model.landmarks(
            image, torch.tensor([[[1 / SIZE, 0, 0], [0, 1 / SIZE, 0]]] * len(image))
        )
    return model.estimate(image, _eyes(len(image)))


def test_every_family_has_a_recipe_and_a_case():
    families = set(RECIPES)
    assert families == {f.name for f in FAMILIES if f.kind in LOADERS}
    assert families == {case.family for case in CASES}


def test_its_file_is_inspected_as_such(case, network, tmp_path):
    torch.save(case.published(network).state_dict(), tmp_path / "m.pt")
    report = inspect(tmp_path / "m.pt")
    assert (report.family, report.kind) == (case.family, case.kind)


@pytest.mark.parametrize(("case", "container"), CONTAINED, indirect=["case"], ids=_title)
def test_every_container_gives_the_same_network(case, network, container, tmp_path):
    CONTAINERS[container](case.published(network), tmp_path / "m.bin")
    loaded = LOADERS[case.kind](tmp_path / "m.bin").network
    assert loaded.config == network.config and not loaded.training
    mine, its = network.state_dict(), loaded.state_dict()
    assert mine.keys() == its.keys()
    assert all(torch.equal(its[name], t) for name, t in mine.items())


def test_a_loaded_network_answers_as_the_saved_one(case, network, model):
    saved = replace(model, network=network)
    loaded, expected = (_answer(case.kind, each, _images(1)) for each in (model, saved))
    torch.testing.assert_close(loaded, expected, rtol=1e-4, atol=1e-5)


def test_the_input_is_the_familys_own(case, model):
    assert getattr(model, "size", None) == case.size


def test_a_file_may_say_what_its_encoder_was_shown(tmp_path):
    form = IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 24, 48)
    plain, other = (
        _loaded("identity", randomised(IResNet(form)), tmp_path, config)
        for config in ({}, {"template": "ffhq", "same_person": 0.5})
    )
    assert (plain.template, plain.same_person) == ("arcface", SAME_PERSON)
    assert (other.template, other.same_person) == ("ffhq", 0.5)
    with pytest.raises(UnsupportedCheckpoint, match='template is "passport", expected one of: '):
        _loaded("identity", randomised(IResNet(form)), tmp_path, {"template": "passport"})


@pytest.mark.parametrize(
    ("family", "template", "distance"),
    [
        ("ArcFace ResNet", "arcface", SAME_PERSON),
        ("insightface ResNet", "arcface", 0.6),
        ("IR-SE", "arcface", 0.75),
        ("FaceNet", "mtcnn", 0.62),
    ],
)
def test_a_family_has_its_makers_template_and_threshold(family, template, distance, tmp_path):
    case = next(case for case in CASES if case.family == family)
    encoder = _loaded(case.kind, case.network(case.form), tmp_path)
    assert (encoder.template, encoder.same_person) == (template, distance)


def test_gradients_reach_the_whole_picture_or_its_eyes(case, model):
    image = _images(1).requires_grad_()
    answer = _answer(case.kind, model, image)
    pull = torch.linspace(-1, 1, answer.numel()).view_as(answer)
    (gradient,) = torch.autograd.grad((pull * answer).sum(), image)
    strength = gradient.abs()
    assert gradient.isfinite().all() and strength[..., 38:44, 28:40].min() > 1e-3 * strength.mean()


def test_a_picture_has_the_same_answer_in_any_company(case, model):
    image = _images(2)
    both = _answer(case.kind, model, image)
    torch.testing.assert_close(both[1:], _answer(case.kind, model, image[1:]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "level"),
    [
        ("ArcFace ResNet", lambda rgb: (rgb / 255 - MEAN) / STD),
        ("insightface ResNet", lambda rgb: (rgb / 255 - 0.5) / 0.5),
        ("MobileFaceNet", lambda rgb: (rgb / 255 - 0.5) / 0.5),
        ("SFace", lambda rgb: (rgb / 255 - 0.5) / 0.5),
        ("IR-SE", lambda rgb: (rgb.flip(1) / 255 - 0.5) / 0.5),
        ("CVLface IR", lambda rgb: (rgb / 255 - 0.5) / 0.5),
        ("AdaFace IR", lambda rgb: (rgb.flip(1) / 255 - 0.5) / 0.5),
        ("FaceNet", lambda rgb: (rgb - 127.5) / 128),
        ("BiSeNet", lambda rgb: (rgb / 255 - MEAN) / STD),
        ("BiSeNet of yakhyo", lambda rgb: (rgb / 255 - MEAN) / STD),
        ("ParseNet", lambda rgb: (rgb / 255 - 0.5) / 0.5),
        ("SegFormer", lambda rgb: (rgb / 255 - MEAN) / STD),
        ("L2CS-Net", lambda rgb: (rgb / 255 - MEAN) / STD),
        ("MobileGaze", lambda rgb: (rgb / 255 - MEAN) / STD),
    ],
)
def test_the_levels_of_a_picture_become_what_the_network_was_trained_on(family, level, tmp_path):
    case = next(case for case in CASES if case.family == family)
    model = _loaded(case.kind, case.published(case.network(case.form)), tmp_path)
    rgb = torch.tensor([0.0, 100, 255, 30, 7, 200]).view(2, 3, 1, 1)
    torch.testing.assert_close(model.normalise(rgb / 127.5 - 1), level(rgb), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "last", "classes"),
    [
        (BiSeNet(BiSeNetConfig(width=8)), "conv_out.conv_out.weight", BISENET_ORDER),
        (of_yakhyo(BiSeNet(BiSeNetConfig(width=8))), "conv_out.conv_out.weight", BISENET_ORDER),
        (ParseNet(SMALL_PARSENET), "out_mask_conv.conv2d.bias", PARSENET_ORDER),
        (SegFormer(SMALL_SEGFORMER), "decode_head.classifier.bias", PARSENET_ORDER),
    ],
    ids=["BiSeNet", "BiSeNet of yakhyo", "ParseNet", "SegFormer"],
)
def test_a_mask_is_of_the_part_that_the_network_means(network, last, classes, tmp_path):
    parser = _loaded("parser", randomised(network), tmp_path, {"size": 32})
    weight = parser.network.state_dict()[last]
    for index, part in enumerate(parts_named(classes)):
        weight.zero_()
        weight[index] = 1000
        found = parse_face(parser, _images(1))
        assert found.mask(part).all() and found.labels.unique().tolist() == [int(part)]


class ModelCheckpoint:
    """A callback, under whose class Lightning keeps its state."""


class Hyperparameters(dict):
    """Lightning's, as a dictionary of a class of its own."""


def test_adafaces_own_checkpoint_gives_its_network_alone(tmp_path):
    """All that Lightning saves stands beside the tensors, and in them the head of the training."""
    network = randomised(AdaFace(SMALL_ADAFACE))
    tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    content = {
        "epoch": 25,
        "pytorch-lightning_version": "1.4.4",
        "state_dict": {**tensors, "head.kernel": torch.ones(24, 7), "head.t": torch.zeros(1)},
        "callbacks": {ModelCheckpoint: {"best_model_score": torch.tensor(0.9)}},
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.ones(2)}}}],
        "lr_schedulers": [{"milestones": Counter([12, 20, 24]), "_last_lr": [0.1]}],
        "hyper_parameters": Hyperparameters(arch="ir_50", lr=0.1),
    }
    torch.save(content, tmp_path / "adaface_ir50_ms1mv2.ckpt")
    loaded = load_identity(tmp_path / "adaface_ir50_ms1mv2.ckpt")
    assert loaded.network.config == SMALL_ADAFACE
    faces = _images(1)
    torch.testing.assert_close(loaded.embed(faces), replace(loaded, network=network).embed(faces))


def _looking(yaw_bins: list[int], pitch_bins: list[int], bins: int) -> L2CS:
    """A network whose answer to any image is the mean of some bins."""
    network = randomised(L2CS(L2CSConfig((1, 1, 1, 1), width=4, bins=bins)))
    for head, chosen in ((network.fc_yaw_gaze, yaw_bins), (network.fc_pitch_gaze, pitch_bins)):
        head.weight.zero_()
        head.bias.zero_()
        head.bias[chosen] = 60.0
    return network


@pytest.mark.parametrize(
    ("bins", "yaw_bins", "pitch_bins", "pitch", "yaw"),
    [
        (90, [45], [45], 0.0, 0.0),
        (90, [50, 51], [40], 40 * 4 - 180.0, -(50.5 * 4 - 180)),  # down, and to the left
        (90, [40], [46], 4.0, 20.0),  # up, and to the right
        (28, [10], [15], 15 * 3 - 42.0, -(10 * 3 - 42.0)),
    ],
)
def test_gaze_is_the_expectation_over_the_bins(bins, yaw_bins, pitch_bins, pitch, yaw, tmp_path):
    estimator = _loaded("gaze", _looking(yaw_bins, pitch_bins, bins), tmp_path)
    gaze = estimate_gaze(estimator, _images(1), _eyes(1))
    found = torch.rad2deg(torch.cat([gaze.pitch, gaze.yaw]))
    torch.testing.assert_close(found, torch.tensor([pitch, yaw]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        BiSeNet(BiSeNetConfig(num_classes=11, width=8)),
        ParseNet(ParseNetConfig(11, (4,), 1, ())),
        SegFormer(replace(SMALL_SEGFORMER, num_classes=11)),
    ],
    ids=["BiSeNet", "ParseNet", "SegFormer"],
)
def test_parsers_of_other_classes_are_refused(network, tmp_path):
    with pytest.raises(UnsupportedCheckpoint, match="got 11 classes: expected CelebAMask-HQ's 19"):
        _loaded("parser", network, tmp_path)


def test_gaze_of_other_bins_is_refused(tmp_path):
    network = L2CS(L2CSConfig((1, 1, 1, 1), width=4))
    network.fc_yaw_gaze, network.fc_pitch_gaze = nn.Linear(128, 66), nn.Linear(128, 66)
    with pytest.raises(UnsupportedCheckpoint, match="got 66 bins of gaze: expected 90 or 28"):
        _loaded("gaze", network, tmp_path)


def test_a_gaze_model_measures_from_the_camera_unless_its_file_says_otherwise(tmp_path):
    network = EyeNet(EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=2, stem=4))
    assert _loaded("gaze", network, tmp_path).frame == "camera"
    assert _loaded("gaze", network, tmp_path, {"frame": "head"}).frame == "head"
    assert _loaded("gaze", L2CS(L2CSConfig((1, 1, 1, 1), width=4)), tmp_path).frame == "camera"
    assert load_gaze(demo_file("gaze")).frame == "head"  # as the world is drawn
