"""The fill rule of the golden data: weights of a network from a hash of their positions."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SEED_STRIDE, STREAM_STRIDE = 1 << 40, 1 << 28
CHUNK = 1 << 16  # numbers hashed at a time, to stay in the cache

Tensors = dict[str, torch.Tensor]


def hash_values(seed: int, stream: int, start: int, stop: int) -> np.ndarray:
    """Numbers `start` to `stop` of a stream, in (-1, 1), exact in float32: splitmix64."""
    base = np.uint64((seed * SEED_STRIDE + stream * STREAM_STRIDE) % 2**64)
    z = (base + np.arange(start, stop, dtype=np.uint64)) * GOLDEN_RATIO + GOLDEN_RATIO
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float64) + 0.5) * 2.0**-23 - 1.0


def hash_tensor(
    seed: int, stream: int, shape: Sequence[int], half: float = 1.0, center: float = 0.0
) -> torch.Tensor:
    """Float32 tensor of a stream's values in row-major order, in center -/+ half."""
    values = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, values.size, CHUNK):
        stop = min(start + CHUNK, values.size)
        values[start:stop] = hash_values(seed, stream, start, stop) * half + center
    return torch.from_numpy(values).reshape(tuple(shape))


def hash_tensor_from_text(text: str) -> torch.Tensor:
    """`hash_tensor(seed=31, stream=2, shape=[2, 6])` as it is written in the manifest."""
    match = re.search(r"seed=(\d+), stream=(\d+), shape=\[([\d, ]+)\]", text)
    assert match, f"expected hash_tensor(seed=, stream=, shape=[]), got {text!r}"
    shape = [int(size) for size in match[3].split(",")]
    return hash_tensor(int(match[1]), int(match[2]), shape)


def fill(layout: Mapping[str, torch.Tensor], rules: list[dict[str, Any]], seed: int) -> Tensors:
    """A state dict with the names and shapes of `layout` and the values of the fill rule."""
    return {
        name: _filled(layout[name], name, rules, seed, stream)
        for stream, name in enumerate(sorted(layout))
    }


def _filled(
    tensor: torch.Tensor, name: str, rules: list[dict[str, Any]], seed: int, stream: int
) -> torch.Tensor:
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    rule = next(rule for rule in rules if _applies(rule, name, tensor.dim()))
    fan_in = math.prod(tensor.shape[1:])
    half = rule["half"] if "half" in rule else rule["gain"] * math.sqrt(6 / fan_in)
    return hash_tensor(seed, stream, tensor.shape, half, rule["center"])


def _applies(rule: dict[str, Any], name: str, rank: int) -> bool:
    return bool(re.search(rule["match"], name)) and rank in rule.get("ndim", [rank])


def override(tensors: Tensors, overrides: list[dict[str, Any]]) -> None:
    """Apply the manifest's overrides in place, in order."""
    for change in overrides:
        tensor = tensors[change["key"]]
        tensor[change.get("zero_rows", [])] = 0
        tensor[change.get("scale_rows", [])] *= change.get("factor", 1)
        for index, value in change.get("set", []):
            tensor[tuple(index)] = value


def sha256_of_all(tensors: Mapping[str, torch.Tensor]) -> str:
    """Digest over each name in ascending order and its tensor's raw bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
