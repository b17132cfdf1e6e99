"""The tolerances of a golden directory, and how distances to it are measured."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?%?")  # not the 2 of L2


def tolerances(manifest: Mapping[str, Any], name: str) -> list[float]:
    """The numbers of a suggested tolerance in the order of its text, percentages as fractions."""
    found = NUMBER.findall(manifest["suggested_tolerance"][name])
    return [float(text[:-1]) / 100 if text.endswith("%") else float(text) for text in found]


def relative(mine: Tensor, golden: Tensor) -> float:
    """Relative L2 distance."""
    golden = golden.double()
    difference = (mine.double() - golden).norm()
    return (difference / golden.norm()).item() if difference else 0.0


def assert_near(name: str, mine: Tensor, golden: Tensor, tolerance: float) -> None:
    """Within a relative L2 distance."""
    distance = relative(mine.expand(golden.shape), golden)
    assert distance <= tolerance, f"{name}: relative L2 {distance:.2e}, tolerance {tolerance:g}"


def assert_each_near(name: str, mine: Tensor, golden: Tensor, tolerance: float) -> None:
    """Every element within a relative distance."""
    assert mine.shape == golden.shape, f"{name}: shape {mine.shape}, golden {golden.shape}"
    difference = (mine.double() - golden.double()).abs()
    worst = (difference / golden.double().abs()).nan_to_num(0.0).max().item()
    assert worst <= tolerance, f"{name}: relative error {worst:.2e}, tolerance {tolerance:g}"


def assert_close(name: str, mine: Tensor, golden: Tensor, tolerance: float) -> None:
    """Every element within an absolute distance."""
    worst = (mine.double() - golden.double()).abs().max().item()
    assert worst <= tolerance, f"{name}: error {worst:.2e}, tolerance {tolerance:g}"


def assert_same_pixels(name: str, mine: Tensor, golden: Tensor, share: float) -> None:
    """All but a share of the pixels equal."""
    differing = (mine.long() != golden.long()).double().mean().item()
    assert differing <= share, f"{name}: {differing:.2%} of the pixels differ, at most {share:.2%}"


def thinned(x: Tensor, name: str) -> Tensor:
    """Every n-th pixel where a golden tensor's name ends in _sn."""
    match = re.search(r"_s(\d+)$", name)
    stride = int(match[1]) if match else 1
    return x[..., ::stride, ::stride]


def by_either_kernel(check: Callable[[], None]) -> None:
    """Checks with oneDNN's kernels or, where that fails, with the plain ones.

    The gradient of a piecewise linear network leaps at its kinks: a rounding may choose the other
    side of one, and which roundings there are depends on the processor and its kernels.
    """
    try:
        check()
    except AssertionError:
        with torch.backends.mkldnn.flags(enabled=False):
            check()


def is_nothing(x: Tensor) -> bool:
    return torch.count_nonzero(x).item() == 0
