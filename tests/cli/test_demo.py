"""The demo's command."""

from dataclasses import replace

import torch

from guided_face_edit.editor_core.cli.demo import edit_pair
from guided_face_edit.editor_core.images import read_image
from guided_face_edit.editor_core.presets import preset

WRITTEN = {
    *("source.png", "target.png", "truth.png", "parsing.png", "mask.png"),
    *("edited.png", "candidates.png", "sheet.png", "metrics.png", "metrics.json"),
}


def test_the_demo_writes_every_file_and_keeps_the_background(tmp_path):
    settings = replace(preset("demo"), respacing="3", skip=0, candidates=2, views=1)
    edit_pair(5, settings, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == WRITTEN
    target, edited, mask = (read_image(tmp_path / f"{n}.png") for n in ("target", "edited", "mask"))
    kept = mask == 0
    assert torch.equal(target[kept], edited[kept]) and not torch.equal(target, edited)
