"""Layout, range and picture files."""

import os

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core import images


def _picture(generator, *shape, dtype=torch.float32):
    return torch.rand(shape, generator=generator, dtype=dtype)


def test_layout_and_range_go_there_and_back(generator):
    picture = _picture(generator, 2, 5, 7, 3)
    signed = images.to_signed(picture)
    assert signed.shape == (2, 3, 5, 7)
    assert signed[1, 2, 3, 4] == picture[1, 3, 4, 2] * 2 - 1
    torch.testing.assert_close(images.to_unit(signed), picture)


def test_to_unit_clamps():
    assert images.to_unit(torch.full((1, 3, 2, 2), 1.5)).max() == 1


def test_range_alone_changes_in_any_layout(generator):
    picture = _picture(generator, 2, 5, 7, 3)
    bchw = images.to_bchw(picture)
    assert torch.equal(images.signed(bchw), images.to_signed(picture))
    assert torch.equal(images.to_bhwc(images.unit(bchw * 3 - 1)), images.to_unit(bchw * 3 - 1))
    assert torch.equal(images.to_bhwc(bchw), picture)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(1, 4, 4, 4), r"shape \(1, 4, 4, 4\), expected .* RGB"),
        (torch.zeros(4, 4, 3), r"shape \(4, 4, 3\)"),
        (torch.zeros(0, 4, 4, 3), r"shape \(0, 4, 4, 3\)"),
        (torch.zeros(1, 4, 4, 3, dtype=torch.uint8), "torch.uint8, expected floats"),
        (torch.full((1, 4, 4, 3), float("nan")), "NaN or infinite"),
        (torch.full((1, 4, 4, 3), float("inf")), "NaN or infinite"),
        (torch.full((1, 4, 4, 3), 255.0), r"\[255, 255\], expected \[0, 1\]: scale"),
        (torch.full((1, 4, 4, 3), -0.1), r"\[-0.1, -0.1\], expected \[0, 1\]"),
    ],
)
def test_wrong_pictures_are_refused(picture, message):
    with pytest.raises(ValueError, match=message):
        images.to_signed(picture, "source")


def test_the_refusal_names_the_picture():
    with pytest.raises(ValueError, match="^source lies in"):
        images.to_signed(torch.full((1, 4, 4, 3), 2.0), "source")


def test_rounding_beyond_one_is_accepted():
    images.to_signed(torch.full((1, 4, 4, 3), 1.0 + 1e-6))


def test_mask_fits_every_picture():
    mask = torch.ones(1, 4, 6)
    assert images.to_mask(mask, torch.zeros(3, 3, 4, 6)).shape == (3, 1, 4, 6)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(1, 8, 6), "mask is 8x6, image is 4x6: resize the mask first"),
        (torch.ones(4, 6), r"mask has shape \(4, 6\)"),
        (torch.ones(3, 4, 6), "expected \\(1 or 2, height, width\\)"),
        (torch.ones(1, 4, 6) * 2, r"mask lies in \[2, 2\]"),
        (torch.full((1, 4, 6), float("nan")), "mask holds NaN"),
    ],
)
def test_wrong_masks_are_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        images.to_mask(mask, torch.zeros(2, 3, 4, 6))


def test_inference_tensors_become_ordinary_ones():
    from guided_face_edit.editor_core.autograd import gradients

    with torch.inference_mode():
        picture, mask = torch.rand(1, 4, 4, 3), torch.ones(1, 4, 4)
        with gradients():
            x = images.to_signed(picture).requires_grad_()
            (images.resize(x, 2).sum() + (x * images.to_mask(mask, x)).sum()).backward()
    assert x.grad is not None and not x.is_inference()


def test_resize_takes_a_side_or_a_pair(generator):
    x = _picture(generator, 1, 3, 8, 8)
    assert images.resize(x, 4).shape == (1, 3, 4, 4)
    assert images.resize(x, (2, 6)).shape == (1, 3, 2, 6)
    assert torch.equal(images.resize(x, 8), x)
    assert torch.equal(images.resize_nearest(x, 4), x[:, :, ::2, ::2])


def test_imagenet_normalise_takes_the_mean_out():
    mean = torch.tensor(images.IMAGENET_MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    out = images.imagenet_normalise(mean * 2 - 1)
    torch.testing.assert_close(out, torch.zeros_like(out))


def test_png_keeps_eight_bits_and_text(tmp_path, generator):
    picture = (_picture(generator, 1, 6, 5, 3) * 255).round() / 255
    images.write_png(tmp_path / "a.png", picture, {"settings": '{"seed": 1}', "note": "né"})
    assert torch.equal(images.read_image(tmp_path / "a.png"), picture)
    with Image.open(tmp_path / "a.png") as file:
        assert file.text == {"settings": '{"seed": 1}', "note": "né"}


def test_read_image_turns_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert images.read_image(tmp_path / "a.jpg").shape == (1, 8, 4, 3)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ValueError, match="is not a picture"):
        images.read_image(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        images.read_image(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("mode", "message"),
    [("L", "is L with 1 channels, expected RGB"), ("RGBA", "is RGBA with 4 channels")],
)
def test_other_channels_are_refused(tmp_path, mode, message):
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=message):
        images.read_image(tmp_path / "a.png")


def test_masks_are_grey(tmp_path):
    Image.new("L", (6, 4), 51).save(tmp_path / "a.png")
    torch.testing.assert_close(images.read_mask(tmp_path / "a.png"), torch.full((1, 4, 6), 0.2))
    Image.new("I;16", (6, 4)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match="expected L with 8 bits"):
        images.read_mask(tmp_path / "b.png")


def test_a_truncated_picture_is_refused(tmp_path):
    images.write_png(tmp_path / "a.png", torch.rand(32, 32, 3))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="a.png cannot be decoded"):
        images.read_image(tmp_path / "a.png")


def _fill_disk_half_way(self, part, **_):
    part.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_png_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    images.write_png(tmp_path / "a.png", torch.zeros(4, 4, 3))
    before = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Image.Image, "save", _fill_disk_half_way)
    with pytest.raises(OSError, match="No space left"):
        images.write_png(tmp_path / "a.png", torch.ones(4, 4, 3))
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before
