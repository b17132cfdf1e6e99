"""Figures keep their intervals honest."""

import pytest
import torch

from guided_face_edit.tools.benchmark.timing import ratio
from guided_face_edit.tools.figures import bootstrap, proportion


def test_intervals_hold_their_value_and_narrow_with_more_pairs():
    assert proportion("all", torch.ones(64)).low == pytest.approx(0.9434, abs=1e-4)
    few, many = (bootstrap("share of odd pairs", _share_of_odd, n) for n in (16, 256))
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low


def _share_of_odd(rows):
    return (rows % 2).double().mean(1)


def test_a_ratio_is_taken_round_by_round():
    row = ratio("slow / fast", [2.0, 20.0, 12.0], [1.0, 10.0, 4.0])
    assert (row.value, row.low, row.high) == (2, 2, 3)
