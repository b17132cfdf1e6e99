"""The evaluation: its measurements, the honesty of its table, and the sweep."""

import json
from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.pairs import DrawnPairs, draw_pairs
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tools.evaluate.command import evaluate
from guided_face_edit.tools.evaluate.measurements import Measurements, gaze_error, psnr_inside
from guided_face_edit.tools.evaluate.networks import load_judge, load_metric_networks
from guided_face_edit.tools.evaluate.sweep import REFERENCES, Trial, TrialResult, sweep
from guided_face_edit.tools.evaluate.tables import GAIN, evaluation
from guided_face_edit.tools.figures import Figure
from guided_face_edit.tools.measures import ablation

QUICK = replace(preset("demo"), respacing="1", skip=0, candidates=1, views=1)


@pytest.fixture(scope="module")
def pairs():
    return draw_pairs(6, 0, 64)


def test_an_evaluation_prints_and_writes_its_table(tmp_path, capsys):
    evaluate(1, 0, QUICK, tmp_path)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    printed = capsys.readouterr().out
    assert written["command"] == "python -m tools.evaluate 1 --seed 0"
    assert len(written["figures"]) == 13
    assert all(figure["name"] in printed for figure in written["figures"])


def test_the_truth_is_infinitely_close_and_the_target_is_not(pairs):
    assert psnr_inside(pairs.truth.image, pairs).isinf().all()
    assert psnr_inside(pairs.target.image, pairs).isfinite().all()


def test_the_gaze_of_the_target_is_read_and_another_gaze_is_not(pairs):
    networks, others = load_metric_networks(), draw_pairs(6, 100, 64)
    mixed = DrawnPairs(pairs.source, replace(pairs.target, gaze=others.target.gaze), pairs.truth)
    right, wrong = (gaze_error(networks, pairs.target.image, p) for p in (pairs, mixed))
    assert right.median() < 5 < wrong.median()


def test_the_judge_knows_the_source_in_the_true_swap(pairs):
    judge = load_judge()

    def embed(image):
        return judge.embed(image.permute(0, 3, 1, 2) * 2 - 1)

    likeness = embed(pairs.truth.image) @ embed(pairs.source.image).T
    assert torch.equal(likeness.argmax(1), torch.arange(6))


def measurements(n=20, **values):
    columns = {name: torch.zeros(n) for name in Measurements.__dataclass_fields__}
    columns |= {"intersection": torch.ones(n, 9), "union": torch.ones(n, 9)}
    columns["background_kept"] = torch.ones(n, dtype=torch.bool)
    return Measurements(**columns | values)


def test_the_table_counts_what_it_says():
    psnr = torch.linspace(10, 29, 20)
    on = measurements(target_psnr=psnr, edit_psnr=psnr + 5, gaze_error=torch.full((20,), 3.0))
    off = measurements(gaze_error=torch.full((20,), 6.0))
    values = [figure.value for figure in evaluation(on, off)]
    assert values == pytest.approx([1, 5, 1, 1, 3, 0.5, 1])
    assert all(figure.reached for figure in evaluation(on, off))


def test_pairs_that_were_close_already_count_for_nothing():
    psnr = torch.tensor([20.0] * 10 + [26.0] * 10)
    on = measurements(target_psnr=psnr, edit_psnr=torch.tensor([24.0] * 10 + [0.0] * 10))
    share, gain, *_ = evaluation(on, measurements(gaze_error=torch.ones(20)))
    assert (share.value, gain.value) == (1, 4)


def test_an_ablation_counts_only_when_zero_is_outside_its_interval(generator):
    noise = torch.randn(20, generator=generator)
    on = measurements(pixel=noise)
    better, same = measurements(pixel=noise + 1), measurements(pixel=noise[torch.randperm(20)])
    clear, unclear = (ablation("pixel", on, without) for without in (better, same))
    assert clear.reached and clear.value == pytest.approx(-1)
    assert not unclear.reached


def test_a_sweep_prints_and_writes_every_trial(tmp_path, capsys):
    trials = {
        REFERENCES[0]: Trial(replace(QUICK, respacing="2")),
        "estimate": Trial(replace(QUICK, gradient="estimate")),
        "double": Trial(QUICK, torch.float64),
    }
    sweep(1, 0, tmp_path, trials)
    printed, written = capsys.readouterr().out, json.loads((tmp_path / "sweep.json").read_text())
    assert [trial["name"] for trial in written["trials"]] == list(trials)
    assert all(name in printed for name in trials)
    for trial in written["trials"]:
        assert trial["seconds"] > 0 and len(trial["figures"]) == 6
    assert any(trial["pareto"] for trial in written["trials"])


def trial(seconds, gain, gaze=3.0, interval=0.5):
    return TrialResult(
        f"{seconds} s",
        seconds,
        [
            Figure(GAIN, gain, gain - interval, gain + interval).at_least(4),
            Figure("gaze", gaze, gaze - interval, gaze + interval).at_most(6),
        ],
    )


def test_the_front_holds_what_nothing_dominates():
    rows = [trial(1, 2.0), trial(2, 4.0), trial(3, 3.0), trial(4, 4.0), trial(5, 5.0)]
    assert [each.seconds for each in rows if not each.is_dominated(rows)] == [1, 2, 5]


def test_as_good_is_no_worse_than_the_references_interval_in_any_figure():
    reference = trial(9, 5.0)
    assert trial(1, 4.6).matches(reference) and trial(1, 9.0, gaze=1.0).matches(reference)
    assert not trial(1, 4.4).matches(reference) and not trial(1, 9.0, gaze=3.6).matches(reference)
