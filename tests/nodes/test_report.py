"""The nodes that save, plot and show, and those that bring pictures."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.images import read_image, write_png
from guided_face_edit.tests.support.running import BY_NAME, run, sample


def test_metrics_are_plotted_and_saved_whole(pair, mask, embedding):
    *_, metrics = sample(pair, mask, embedding)
    (plot,) = run("MetricsPlot", metrics=metrics)
    assert plot.ndim == 4 and plot.shape[3] == 3
    paths = [
        run("SaveMetrics", metrics=metrics, filename_prefix="a/b", format=kind)[0]
        for kind in ("json", "csv", "json")
    ]
    assert len(set(paths)) == 3
    assert set(json.loads(Path(paths[0]).read_text())) == {"identity", "pixel"}
    assert Path(paths[1]).read_text().startswith("metric,t,picture,value\n")


def test_a_saved_edit_says_what_it_is(folders, pair):
    output = BY_NAME["SaveEditedImage"].run({"images": pair[1], "filename_prefix": "x/edit"})
    (saved,) = output.ui.as_dict()["images"]
    assert saved["subfolder"] == "x" and saved["type"] == "output"
    path = Path(folders.get_output_directory(), "x", saved["filename"])
    with Image.open(path) as picture:
        assert "compositeWithTrainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    assert (read_image(path) - pair[1]).abs().max() <= 0.5 / 255 + 1e-6


def test_a_sheet_has_a_panel_for_all_that_is_wired(pair, parsing, mask):
    (one,) = run("ComparisonSheet", side=64, target=pair[1])
    shown = {"source": pair[0], "parsing": parsing, "mask": mask, "edited": pair[2]}
    (five,) = run("ComparisonSheet", side=64, target=pair[1], **shown)
    assert five.shape[1] == one.shape[1] and five.shape[2] > 4.5 * 64
    with pytest.raises(ValueError, match="got pictures none"):
        run("ComparisonSheet", side=64)


def test_a_batch_gives_a_sheet_for_each_picture(mask):
    source, target, _ = run("DrawDemoPortraits", seed=0, pairs=3)
    (sheets,) = run("ComparisonSheet", side=64, source=source, target=target, mask=mask)
    assert len(sheets) == 3 and not torch.equal(sheets[0], sheets[1])


@pytest.fixture
def pictures(folders, pair):
    for name, images in (("sources", "ab"), ("targets", "cd")):
        folder = Path(folders.get_input_directory(), name)
        folder.mkdir(exist_ok=True)
        for each in folder.iterdir():
            each.unlink()
        for image in images:
            write_png(folder / f"{image}.png", pair[0])
    return {"source_folder": "sources", "target_folder": "targets"}


def test_pairs_come_in_order_or_every_one_with_every_one(pictures):
    sources, _, names = run("LoadImagePairs", pairing="in order", **pictures)
    assert names == ["a_on_c", "b_on_d"] and sources[0].shape == (1, 64, 64, 3)
    *_, names = run("LoadImagePairs", pairing="every", **pictures)
    assert names == ["a_on_c", "a_on_d", "b_on_c", "b_on_d"]


def test_only_folders_within_the_input_folder_are_read(pictures):
    outside = pictures | {"source_folder": "../output"}
    with pytest.raises(ValueError, match=r'"../output" is no folder in'):
        run("LoadImagePairs", pairing="in order", **outside)


def test_demo_portraits_are_the_same_for_a_seed():
    once, again = (run("DrawDemoPortraits", seed=7, pairs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert once[0].shape == (1, 64, 64, 3) and not torch.equal(once[1], once[2])
