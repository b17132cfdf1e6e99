"""augment.safetensors: the reference's views of a face, their draws and their gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guided_face_edit.editor_core.reference.views import (
    DrawnWarps,
    TwoWarpViews,
    Warps,
    warp_affine,
    warp_perspective,
)

from .fill import hash_tensor_from_text
from .measure import assert_close, thinned, tolerances

Tensors = Mapping[str, Tensor]

RECORDED = ("affine_matrix", "affine_applied", "perspective_matrix", "perspective_applied")
NO_COPIES = {name: torch.empty((0, 3, 3) if "matrix" in name else 0) for name in RECORDED}


@dataclass
class GivenWarps:
    """Recorded homographies, one set a call."""

    calls: list[Tensors]  # affine_matrix (n,3,3) in pixels, affine_applied (n,), ...

    def __call__(self, count: int, side: int) -> Warps:
        """The next recorded set, in the coordinates of the views; none where all is plain."""
        call = self.calls.pop(0) if count else NO_COPIES
        affine, perspective = (
            normalised(call[f"{kind}_matrix"].float(), side) for kind in ("affine", "perspective")
        )
        assert len(affine) == count
        turned, tilted = (call[f"{kind}_applied"].bool() for kind in ("affine", "perspective"))
        return Warps(affine, turned, perspective, tilted)


def given_warps(tensors: Tensors, prefix: str) -> GivenWarps:
    """The warps of every step of a run, `prefix` being "aug/"; none where it has one copy."""
    found = {name: tensors[prefix + name] for name in RECORDED if prefix + name in tensors}
    steps = len(next(iter(found.values()), ()))
    return GivenWarps([{name: rows[step] for name, rows in found.items()} for step in range(steps)])


def normalised(matrix: Tensor, side: int) -> Tensor:
    """A homography of pixels as one of [-1, 1], where -1 and 1 are the outermost pixels."""
    scale = 2 / (side - 1)
    outermost = matrix.new_tensor([[scale, 0, -1], [0, scale, -1], [0, 0, 1]])
    return outermost @ matrix @ torch.linalg.inv(outermost)


def check_augment(
    manifest: dict[str, Any],
    name: str,
    note: dict[str, Any],
    tensors: Tensors,
    tensor_table: dict[str, Any],
    folder: Path,
) -> None:
    tolerance, *_ = tolerances(manifest, "augment.out")
    for case, facts in note["cases"].items():
        given = {k.removeprefix(f"{case}/"): v for k, v in tensors.items() if k.startswith(case)}
        _check_views(case, facts, given, tolerance)
        _check_draws(case, facts, given, tolerance)
    _check_identity(tensors, tolerance)


def _check_views(case: str, facts: dict[str, Any], given: Tensors, tolerance: float) -> None:
    x = given["x"].float().requires_grad_()
    views = TwoWarpViews(GivenWarps([given]), facts["n"])(x)[0]
    (slope,) = torch.autograd.grad((views * hash_tensor_from_text(facts["cotangent"])).sum(), x)
    made = {"out": views.detach(), "grad_x": slope}
    for key in given:
        stem = key.partition("_s")[0]
        if stem in made:
            assert_close(f"{case}/{key}", thinned(made[stem], key), given[key], tolerance)


def _check_draws(case: str, facts: dict[str, Any], given: Tensors, tolerance: float) -> None:
    """The seed of the reference's run gives its homographies."""
    generator = torch.Generator().manual_seed(facts["torch_seed"])
    drawn = DrawnWarps(generator)(facts["n"] - 1, facts["size"])
    recorded = GivenWarps([given])(facts["n"] - 1, facts["size"])
    for part in vars(drawn):
        mine, golden = _scaled(getattr(drawn, part)), _scaled(getattr(recorded, part))
        assert_close(f"{case}/{part}", mine, golden, tolerance)


def _scaled(warp: Tensor) -> Tensor:
    """A homography is one up to its scale."""
    return warp / warp[:, 2:, 2:] if warp.ndim == 3 else warp


def _check_identity(tensors: Tensors, tolerance: float) -> None:
    warps = {"affine_border": warp_affine, "perspective_zeros": warp_perspective}
    pictures = {v.shape[-1]: v.float() for k, v in tensors.items() if k.endswith("/x")}
    for kind, warp in warps.items():
        golden = tensors[f"identity/{kind}"]
        warped = warp(pictures[golden.shape[-1]], torch.eye(3)[None])
        assert_close(f"identity/{kind}", warped, golden, tolerance)
