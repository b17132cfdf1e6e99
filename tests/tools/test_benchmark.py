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
from guided_face_edit.tools.benchmark.machine import machine
from guided_face_edit.tools.benchmark.memory import measurable, memory_of
from guided_face_edit.tools.benchmark.plain import plain
from guided_face_edit.tools.benchmark.report import Plan, time_tables, timings
from guided_face_edit.tools.benchmark.startup import start
from guided_face_edit.tools.benchmark.steps import FLOOR, UNET, WAYS, parts
from guided_face_edit.tools.benchmark.subject import UNETS, Subject, random_network
from guided_face_edit.tools.benchmark.timing import GOES, interleaved, ratio

CONFIG = replace(EVEN_UNET, identity_channels=24)


def single(model):
    """A tiny model in float32."""
    return replace(model, network=copy.deepcopy(model.network).float())


@cache
def tiny_subject() -> Subject:
    unet = random_network(lambda: UNet(CONFIG))
    models = FaceModels(
        DiffusionModel(unet, GaussianDiffusion.linear(), 64),
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


def test_the_tables_are_complete_and_positive():
    plan = Plan("demo", rounds=1, candidates=(1, 4))
    tables = {t.title: t.figures for t in time_tables(plan, timings(tiny_subject(), plan, iter))}
    names = {title: [row.name for row in rows] for title, rows in tables.items()}
    assert names["parts of the floor, ms"] == [
        *(UNET, "parser", "identity", "gaze", "LPIPS"),
        FLOOR,
    ]
    assert names["steps, ms"] == [name for name in WAYS if name != FLOOR]
    assert names["ms a candidate, by candidates at once"] == ["1", "4"]
    assert {"guided / floor", "naive / guided", "each of 4 candidates / one alone"} <= set(
        names["ratios"]
    )
    for row in (row for rows in tables.values() for row in rows):
        assert 0 < row.low <= row.value <= row.high, row.name


@pytest.mark.parametrize(
    ("way", "counts"),
    [
        ("guided", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("low memory", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("estimate", {"diffusion": 1, "identity": 1, "gaze": 1}),
        ("unguided", {"diffusion": 1, "identity": 0, "gaze": 0}),
        ("naive", {"diffusion": 2, "identity": 2, "gaze": 2}),
    ],
)
def test_a_step_runs_what_its_name_says(way, counts):
    subject = Subject(copy.deepcopy(tiny_subject().models), preset("demo"))
    step = WAYS[way].made_of(subject)
    passes = Passes(subject.models)
    step()
    assert passes.counts == counts


def test_the_floor_has_a_part_for_every_network_of_the_preset():
    assert list(parts(tiny_subject())) == [UNET, "parser", "identity", "gaze", "LPIPS"]
    bare = replace(tiny_subject(), settings=preset("diffface"))
    assert list(parts(bare)) == [UNET, "parser", "identity", "gaze"]


def test_plain_modules_compute_the_same(generator):
    network = tiny_subject().models.diffusion.network
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([300.0])
    identity = torch.randn(1, 24, generator=generator)
    same = plain(copy.deepcopy(network))(x, t, identity=identity)
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
    one_round = "a" * (1 + GOES) + "b" * (1 + GOES)
    assert "".join(order) == "ab" + 2 * one_round
    assert [len(seconds) for seconds in series.values()] == [2, 2]


def test_a_ratio_is_taken_round_by_round():
    row = ratio("slow / fast", [2.0, 20.0, 12.0], [1.0, 10.0, 4.0])
    assert (row.value, row.low, row.high) == (2, 2, 3)


def test_the_machine_is_described_without_its_name():
    import platform

    described = machine()
    assert described["torch"] == torch.__version__ and described["cpu"]
    assert platform.node() not in described.values()


@pytest.mark.slow
@pytest.mark.skipif(not measurable(), reason="needs Linux or a GPU")
def test_a_guided_step_takes_more_memory_than_an_unguided_one():
    threads = torch.get_num_threads()
    guided, unguided = (memory_of("demo", way, threads) for way in ("guided", "unguided"))
    assert 0 < unguided.step < guided.step < guided.peak


def test_a_start_that_fails_is_an_error():
    import subprocess

    start("pass")()
    with pytest.raises(subprocess.CalledProcessError):
        start("raise SystemExit(3)")()


@pytest.mark.slow
def test_the_command_prints_and_writes_its_tables(tmp_path, capsys):
    options = ("--rounds", "1", "--candidates", "1", "2", "--threads", "1", "--json")
    assert main(["benchmark", *options, "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "step" / "demo-cpu.json").read_text())
    assert "MiB that a step adds" in printed["tables"] and "start-up, s" in printed["tables"]
    assert sys.executable not in json.dumps(printed)
    assert printed["command"] in (tmp_path / "step" / "demo-cpu.txt").read_text()
