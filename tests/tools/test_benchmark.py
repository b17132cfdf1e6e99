"""The benchmark: its tables are complete, its figures positive, its steps what they say."""

import copy
import json
import sys
from dataclasses import replace
from functools import cache

import pytest
import torch

from guided_face_edit.editor_core.__main__ import main
from guided_face_edit.editor_core.diffusion.process import DiffusionModel, GaussianDiffusion
from guided_face_edit.editor_core.loading.models import FaceModels
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tests.support.tiny import (
    EVEN_UNET,
    tiny_encoder,
    tiny_estimator,
    tiny_lpips,
    tiny_parser,
)
from guided_face_edit.tools.benchmark.plain import to_plain_unet
from guided_face_edit.tools.benchmark.processes import (
    can_measure_memory,
    importing,
    measure_memory,
)
from guided_face_edit.tools.benchmark.steps import FLOOR, UNET, VARIANTS, floor_parts
from guided_face_edit.tools.benchmark.subject import UNETS, Subject, random_network
from guided_face_edit.tools.benchmark.tables import BenchmarkPlan, time_tables
from guided_face_edit.tools.benchmark.timing import REPEATS, interleaved

CONFIG = replace(EVEN_UNET, identity_channels=24)


def single(model):
    """A tiny model in float32."""
    return replace(model, network=copy.deepcopy(model.network).float())


@cache
def tiny_subject() -> Subject:
    unet = random_network(lambda: UNet(CONFIG))
    models = FaceModels(
        DiffusionModel(unet, GaussianDiffusion.linear(), 32),
        single(tiny_encoder()),
        single(tiny_parser()),
        single(tiny_estimator()),
        copy.deepcopy(tiny_lpips()).float(),
    )
    return Subject(models, preset("demo"))


class Passes:
    """Counts the forward passes of the networks that an edit runs."""

    def __init__(self, models: FaceModels) -> None:
        self.counts = dict.fromkeys(("diffusion", "identity", "gaze"), 0)
        for name in self.counts:
            getattr(models, name).network.register_forward_hook(self._counter(name))

    def _counter(self, name):
        def count(*_):
            self.counts[name] += 1

        return count


def test_the_tables_are_complete_and_positive(monkeypatch):
    monkeypatch.setattr("guided_face_edit.tools.benchmark.timing.QUICK", 0)
    plan = BenchmarkPlan("demo", rounds=1, candidates=(1, 4))
    subject = replace(tiny_subject(), settings=replace(preset("demo"), views=1))
    tables = time_tables(subject, plan, iter)
    names = {title: [row.name for row in rows] for title, rows in tables.items()}
    assert names["parts of the floor, ms"] == [
        *(UNET, "parser", "identity", "gaze", "LPIPS"),
        FLOOR,
    ]
    assert names["steps, ms"] == [name for name in VARIANTS if name != FLOOR]
    assert names["ms a candidate, by candidates at once"] == ["1", "4"]
    assert {"guided / floor", "naive / guided", "each of 4 candidates / one alone"} <= set(
        names["ratios"]
    )
    for row in (row for rows in tables.values() for row in rows):
        assert 0 < row.low <= row.value <= row.high, row.name


@pytest.mark.parametrize(
    ("variant", "counts"),
    [
        ("guided", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("low memory", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("estimate", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("unguided", {"diffusion": 1, "identity": 0, "gaze": 0}),
        ("naive", {"diffusion": 2, "identity": 2, "gaze": 2}),
    ],
)
def test_a_step_runs_what_its_name_says(variant, counts):
    subject = Subject(copy.deepcopy(tiny_subject().models), preset("demo"))
    step = VARIANTS[variant].build(subject)
    passes = Passes(subject.models)
    step()
    assert passes.counts == counts


def test_the_floor_has_a_part_for_every_network_of_the_preset():
    assert list(floor_parts(tiny_subject())) == [UNET, "parser", "identity", "gaze", "LPIPS"]
    bare = replace(tiny_subject(), settings=preset("diffface"))
    assert list(floor_parts(bare)) == [UNET, "parser", "identity", "gaze"]


def test_plain_modules_compute_the_same(generator):
    network = tiny_subject().models.diffusion.network
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([300.0])
    identity = torch.randn(1, 24, generator=generator)
    same = to_plain_unet(copy.deepcopy(network))(x, t, identity=identity)
    torch.testing.assert_close(same, network(x, t, identity=identity), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "parameters"), [("256-128", 138_815_238), ("256-256", 554_388_998)]
)
def test_the_published_shapes_have_the_published_size(config, parameters):
    with torch.device("meta"):
        network = UNet(UNETS[config])
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_runs_take_turns_and_what_is_quick_is_timed_at_its_second_go():
    order = []
    series = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    one_round = "a" * (1 + REPEATS) + "b" * (1 + REPEATS)
    assert "".join(order) == "ab" + 2 * one_round
    assert [len(seconds) for seconds in series.values()] == [2, 2]


@pytest.mark.slow
@pytest.mark.skipif(not can_measure_memory(), reason="needs Linux or a GPU")
def test_a_guided_step_takes_more_memory_than_an_unguided_one():
    threads = torch.get_num_threads()
    guided, unguided = (measure_memory("demo", name, threads) for name in ("guided", "unguided"))
    assert 0 < unguided.step < guided.step < guided.peak


def test_an_import_that_fails_is_an_error():
    import subprocess

    importing("pass")()
    with pytest.raises(subprocess.CalledProcessError):
        importing("raise SystemExit(3)")()


@pytest.mark.slow
def test_the_command_prints_and_writes_its_tables(tmp_path, capsys):
    options = ("--rounds", "1", "--candidates", "1", "2", "--threads", "1", "--json")
    assert main(["benchmark", *options, "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "step" / "demo-cpu.json").read_text())
    assert "MiB that a step adds" in printed["tables"] and "start-up, s" in printed["tables"]
    assert sys.executable not in json.dumps(printed)
    assert printed["command"] in (tmp_path / "step" / "demo-cpu.txt").read_text()
