"""Series of metrics: recorded, written, read, drawn."""

import csv
import json
import math

import pytest
import torch

from guided_face_edit.editor_core.metrics import EditMetrics, Sample


@pytest.fixture
def metrics():
    metrics = EditMetrics()
    for t in (2, 1, 0):
        metrics.record("identity", t, torch.tensor([t / 3, t / 7], dtype=torch.float64))
        metrics.record("pixel", t, torch.tensor([0.5 - t, 1.0], dtype=torch.float64))
    return metrics


def test_json_round_trip_keeps_every_digit(metrics):
    assert EditMetrics.from_json(metrics.to_json()) == metrics


def test_csv_holds_every_digit(metrics):
    rows = list(csv.DictReader(metrics.to_csv().splitlines()))
    assert len(rows) == 12
    for row in rows:
        sample = next(s for s in metrics.series[row["metric"]] if s.t == int(row["t"]))
        assert float(row["value"]) == sample.values[int(row["picture"])]


def test_values_that_are_not_finite_stay_standard_json():
    metrics = EditMetrics()
    metrics.record("psnr", 0, torch.tensor([float("inf"), float("nan"), 1.0]))
    assert json.loads(metrics.to_json())["psnr"][0]["values"] == [None, None, 1.0]
    assert math.isnan(EditMetrics.from_json(metrics.to_json()).series["psnr"][0].values[0])


def test_summary_is_over_the_means(metrics):
    summary = metrics.summary()["pixel"]
    assert summary == (-0.25, 0.75, -0.25, 0.75)
    assert summary.last == metrics.series["pixel"][-1].mean


def test_recording_keeps_no_graph():
    metrics = EditMetrics()
    metrics.record("identity", 4, torch.ones(2, requires_grad=True) * 2)
    assert metrics.series["identity"] == [Sample(4, (2.0, 2.0))]


def test_only_a_value_for_each_picture_is_recorded():
    with pytest.raises(ValueError, match=r"shape \(\), expected \(batch,\)"):
        EditMetrics().record("identity", 0, torch.tensor(1.0))


@pytest.mark.parametrize("empty", [True, False])
def test_a_plot_is_a_picture(metrics, empty):
    picture = (EditMetrics() if empty else metrics).plot()
    assert picture.shape[2] == 3 and min(picture.shape[:2]) > 100
    assert 0 <= picture.min() < picture.max() <= 1
