"""Training resumes and repeats, and every lesson can be learned."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.face.identity import IdentityEncoder
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.tools.evaluate.networks import Judge, JudgeConfig
from guided_face_edit.tools.train import stages as training
from guided_face_edit.tools.train.dataset import PortraitSet, draw_set, load_or_draw
from guided_face_edit.tools.train.learning import Course, Lesson, learn
from guided_face_edit.tools.train.lessons import (
    IdentityLesson,
    SwapLesson,
    degrade,
    with_margin,
)

TINY_JUDGE = JudgeConfig(widths=(8, 8), embedding=8, input_size=32)


@pytest.fixture(scope="module")
def data():
    return PortraitSet(**draw_set(6, 3, 32, seed=0), pictures=3)


def lesson():
    torch.manual_seed(0)
    return IdentityLesson(Judge(TINY_JUDGE))


def test_a_resumed_training_equals_an_unbroken_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr("guided_face_edit.tools.train.learning.SAVE_EVERY", 2)
    course = Course((4,), batch=4, learning_rate=1e-2)
    unbroken = learn(lesson(), course, data, tmp_path / "a.pt", seed=1).state_dict()
    with pytest.raises(RuntimeError, match="stop"):
        learn(Stopping(lesson(), after=3), course, data, tmp_path / "b.pt", seed=1)
    resumed = learn(lesson(), course, data, tmp_path / "b.pt", seed=1).state_dict()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


class Stopping(Lesson):
    """A lesson that breaks off, as a machine does that is switched off."""

    def __init__(self, inner, after):
        super().__init__(inner.network)
        self.centre, self.after = inner.centre, after

    def forward(self, data, rows, generator):
        self.after -= 1
        if self.after < 0:
            raise RuntimeError("stop")
        return IdentityLesson.forward(self, data, rows, generator)


def test_the_rate_warms_up_and_cools_down_in_every_cycle():
    course = Course((100, 50), batch=1, learning_rate=1.0, warmup=10)
    rates = [course.rate(step) for step in range(course.steps)]
    assert rates[0] == pytest.approx(0.1) and rates[100] == pytest.approx(0.1)
    assert rates[99] < 0.01 and rates[149] < 0.01 and max(rates) <= 1


def test_a_step_lowers_the_loss_of_what_was_seen(data):
    stage = lesson()
    optimiser = torch.optim.Adam(stage.parameters(), lr=1e-2)
    rows = torch.arange(len(data))

    def loss():
        return stage(data, rows, torch.Generator().manual_seed(0))

    before = loss().item()
    for _ in range(5):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < before


@pytest.mark.parametrize("stage", training.TRAINING_STAGES, ids=lambda stage: stage.kind)
def test_every_lesson_teaches_every_parameter_it_trains(stage, generator):
    data = PortraitSet(**draw_set(3, 2, training.PORTRAIT_SIZE, seed=0), pictures=2)
    done = {
        "identity": IResNet(training.IDENTITY_CONFIG).eval().requires_grad_(False),
        "denoiser": UNet(training.DENOISER_CONFIG),
        "face": UNet(training.DENOISER_CONFIG),
    }
    lesson = stage.lesson(done)
    loss = lesson(data, torch.tensor([0, 3, 5]), generator)
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in lesson.parameters())


def test_the_margin_takes_from_the_own_class_alone():
    cosine = torch.tensor([[0.5, 0.5], [0.2, 0.9]])
    result = with_margin(cosine, torch.tensor([0, 1]))
    assert result[0, 0] < 0.5 and result[1, 1] < 0.9
    torch.testing.assert_close(result[[0, 1], [1, 0]], cosine[[0, 1], [1, 0]])


def test_degraded_pictures_repeat_and_some_stay_as_they_are(data):
    image = data.picture(torch.arange(12))
    one, two = (degrade(image, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    unchanged = (one == image).flatten(1).all(1)
    assert unchanged.any() and not unchanged.all()


def test_the_set_is_drawn_once(tmp_path):
    path = tmp_path / "set.safetensors"
    first = load_or_draw(path, 2, 2, 16, seed=0)
    stamp = path.stat().st_mtime_ns
    assert torch.equal(load_or_draw(path, 2, 2, 16, seed=0).image, first.image)
    assert path.stat().st_mtime_ns == stamp
    assert first.person(torch.arange(4)).tolist() == [0, 0, 1, 1]


def test_training_writes_models_that_load(tmp_path, monkeypatch):
    tiny = IResNetConfig((1, 1, 1, 1), (8, 8, 8, 8), 16, 32)
    monkeypatch.setattr(training, "IDENTITY_CONFIG", tiny)
    monkeypatch.setattr(training, "EMBEDDING", 16)
    for name, value in {"PORTRAIT_SIZE": 32, "PEOPLE": 3, "PICTURES_EACH": 2}.items():
        monkeypatch.setattr(training, name, value)
    stage = replace(training.TRAINING_STAGES[0], course=Course((1,), 4, 1e-3))
    monkeypatch.setattr(training, "TRAINING_STAGES", (stage,))
    training.train(tmp_path / "work", tmp_path / "weights")
    from guided_face_edit.editor_core.loading.models import load_identity

    assert load_identity(tmp_path / "weights" / "identity" / "demo.safetensors").size == 32


def test_an_unknown_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no model "nose".*identity'):
        training.train(tmp_path, tmp_path, kinds=["nose"])


def test_the_layer_that_reads_the_identity_learns_at_its_own_pace(data):
    network = UNet(replace(training.DENOISER_CONFIG, model_channels=32, channel_mult=(1.0,)))
    encoder = IdentityEncoder(IResNet(training.IDENTITY_CONFIG).eval(), training.PORTRAIT_SIZE)
    lesson = SwapLesson(network, encoder, GaussianDiffusion.linear())
    others, reader = lesson.groups()
    assert [parameter.shape[1] for parameter in reader["params"]] == [training.EMBEDDING]
    assert (others["pace"], reader["pace"]) == (1.0, training.EMBEDDING**0.5)
    count = len(others["params"]) + len(reader["params"])
    assert count == len(list(lesson.parameters()))


def test_a_course_may_stop_before_its_cycles_end():
    course = Course((100,), batch=1, learning_rate=1.0, stop=40)
    assert course.steps == 40
    assert course.rate(39) == Course((100,), batch=1, learning_rate=1.0).rate(39)


def test_what_a_model_needs_is_trained_before_it():
    assert [stage.kind for stage in training.needed_stages(["diffusion"])] == [
        "identity",
        "denoiser",
        "face",
        "diffusion",
    ]
    assert training.needed_stages([]) == list(training.TRAINING_STAGES)


def test_a_twin_differs_in_the_face_alone():
    drawn = draw_set(4, 2, 64, seed=0)
    differs = (drawn["image"] != drawn["twin"]).any(1)
    outer = torch.isin(drawn["labels"], torch.tensor([FacePart.BACKGROUND, FacePart.CLOTH]))
    assert differs[outer].float().mean() < 0.02  # pixels at the rim of the face
    assert differs[drawn["labels"] == FacePart.SKIN].float().mean() > 0.9


def test_a_swap_is_learned_from_twins_at_noisy_steps_alone(data):
    network = UNet(replace(training.DENOISER_CONFIG, model_channels=32, channel_mult=(1.0,)))
    encoder = IdentityEncoder(IResNet(training.IDENTITY_CONFIG).eval(), training.PORTRAIT_SIZE)
    lesson = SwapLesson(network, encoder, GaussianDiffusion.linear())
    rows = torch.arange(len(data))
    for step, some in ((100, False), (900, True)):
        t = torch.full((len(rows),), step)
        start = lesson.start(data, rows, t, torch.Generator().manual_seed(0))
        own, twin = (
            (start == picture).flatten(1).all(1)
            for picture in (data.picture(rows), data.picture(rows, twin=True))
        )
        assert (own | twin).all() and twin.any() == some and own.any()
