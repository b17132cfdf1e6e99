"""The only place where layout and range change: BHWC in [0, 1] outside, BCHW in [-1, 1] inside."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from .files import atomic_write

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
WHITE_LEVELS = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I": 65535, "F": 1}  # by PIL mode
ROUNDING = 1e-4  # by which float arithmetic may take a pixel out of [0, 1]

ImageSize = int | tuple[int, int]  # the side of a square, or (height, width)


def signed(x: Tensor) -> Tensor:
    """Pictures in [0, 1] in [-1, 1], of any layout."""
    return x * 2 - 1


def unit(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] clamped to [0, 1], of any layout."""
    return ((x + 1) / 2).clamp(0, 1)


def to_bchw(image: Tensor, name: str = "image", least: int = 1) -> Tensor:
    """Pictures in [0, 1] as a user gives them, (B,H,W,3), as (B,3,H,W) in [0, 1].

    Args:
        image: The pictures.
        name: What an error calls them.
        least: How many there must be.

    Raises:
        ValueError: Another shape, integers, values out of range or not finite.
    """
    if image.ndim != 4 or image.shape[-1] != 3 or 0 in image.shape[1:] or len(image) < least:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}, expected (batch, height, width, 3): "
            "give an RGB picture"
        )
    _require_range(image, name)
    return image.movedim(-1, 1).contiguous()


def to_bhwc(x: Tensor) -> Tensor:  # (...,3,H,W) -> (...,H,W,3)
    """Pictures in the layout of users and files; their range stays."""
    return x.movedim(-3, -1).contiguous()


def to_signed(
    image: Tensor, name: str = "image", least: int = 1
) -> Tensor:  # (B,H,W,3) -> (B,3,H,W)
    """Pictures in [0, 1] as networks see them, in [-1, 1]; checked as `to_bchw` does."""
    return signed(to_bchw(image, name, least))


def rgb(photo: Tensor) -> Tensor:  # (B,H,W,3 or 4) -> (B,H,W,3)
    """The colours of a picture that may have alpha."""
    if photo.ndim != 4 or photo.shape[-1] not in (3, 4):
        raise ValueError(
            f"photo has shape {tuple(photo.shape)}, expected (batch, height, width, 3 or 4): "
            "give an RGB or RGBA picture"
        )
    return photo[..., :3]


def to_unit(x: Tensor) -> Tensor:  # (B,3,H,W) -> (B,H,W,3)
    """The editor's pictures in [-1, 1] in the layout and range of users and files, clamped."""
    return to_bhwc(unit(x))


def add_change(image: Tensor, change: Tensor) -> Tensor:  # (B,H,W,3), (B,3,H,W) -> (B,H,W,3)
    """Pictures in [0, 1] plus a difference of pictures in [-1, 1]; a zero changes no bit."""
    return (image + change.movedim(1, -1) / 2).clamp(0, 1)


def to_mask(
    mask: Tensor, image: Tensor, name: str = "mask"
) -> Tensor:  # (B,H,W) or (1,H,W) -> (B,1,H,W)
    """A mask in [0, 1] as one plane a picture.

    Args:
        mask: One mask for the whole batch, or one a picture.
        image: The pictures (B,C,H,W), whose dtype the mask takes.
        name: What errors call it.

    Raises:
        ValueError: Another shape or range than the pictures'.
    """
    if mask.ndim != 3 or mask.shape[0] not in (1, image.shape[0]):
        raise ValueError(
            f"{name} has shape {tuple(mask.shape)}, expected (1 or {image.shape[0]}, height, "
            "width): give one mask, or one for each picture"
        )
    if mask.shape[1:] != image.shape[2:]:
        (h, w), (height, width) = mask.shape[1:], image.shape[2:]
        raise ValueError(f"{name} is {h}x{w}, image is {height}x{width}: resize the mask first")
    _require_range(mask, name)
    return mask[:, None].expand(image.shape[0], -1, -1, -1).to(image.dtype, copy=True)


def free_area(mask: Tensor, keep: Tensor | None, target: Tensor) -> Tensor:  # -> (n,1,H,W)
    """Where an edit of targets (n,3,H,W) is free: the mask, without what is kept."""
    area = to_mask(mask, target)
    return area if keep is None else area * (1 - to_mask(keep, target, "keep"))


def empty_masks(mask: Tensor) -> dict[int, str]:  # (n,H,W)
    """What is wrong with the rows of a mask that has no white there."""
    fault = "has an empty mask, expected some white: paint where it may change, or leave it out"
    return dict.fromkeys((mask.amax((1, 2)) <= 0).nonzero().flatten().tolist(), fault)


def one_for_each(rows: Tensor, what: str, count: int, of: str = "targets") -> Tensor:
    """One row (1 or count,...) for each of `count` pictures; one alone serves them all.

    Args:
        rows: What is counted.
        what: What an error calls them.
        count: How many there are to be.
        of: What an error calls the pictures that they are for.

    Raises:
        ValueError: There is neither one row nor one for each.

    Examples:
        >>> one_for_each(torch.ones(1, 5), "embeddings", 3).shape
        torch.Size([3, 5])
    """
    if len(rows) not in (1, count):
        raise ValueError(
            f"got {len(rows)} {what} for {count} {of}: give one for all of them, or one for each"
        )
    return rows.expand(count, *rows.shape[1:])


def _require_range(x: Tensor, name: str) -> None:
    if not x.is_floating_point():
        raise ValueError(f"{name} is {x.dtype}, expected floats in [0, 1]: convert and scale it")
    if not x.numel():
        return
    if not torch.isfinite(x).all():
        raise ValueError(f"{name} holds NaN or infinite values, expected [0, 1]: repair it first")
    low, high = x.min().item(), x.max().item()
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"{name} lies in [{low:.4g}, {high:.4g}], expected [0, 1]: scale or clamp it first"
        )


def resize(x: Tensor, size: ImageSize, antialias: bool = True) -> Tensor:  # (B,C,H,W) -> (B,C,h,w)
    """Bilinear, pixel centres aligned; `antialias` matters where the picture shrinks."""
    return F.interpolate(x, _pair(size), mode="bilinear", antialias=antialias)


def resize_nearest(x: Tensor, size: ImageSize) -> Tensor:  # (B,C,H,W) -> (B,C,h,w)
    """The nearest pixel above and to the left, torch's `nearest`."""
    return F.interpolate(x, _pair(size), mode="nearest")


def _pair(size: ImageSize) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def blur(x: Tensor, sigma: float) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
    """Gaussian blur with a deviation of `sigma` pixels; edges are repeated outwards."""
    radius = int(3 * sigma + 0.5)
    if radius == 0:
        return x
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), 0).view(1, 1, 1, -1)
    planes = x.flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel)
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), mode="replicate"), kernel.mT)
    return planes[:, 0].unflatten(0, x.shape[:2])


def imagenet_normalise(x: Tensor) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
    """Pictures in [-1, 1] normalised by ImageNet's mean and deviation."""
    return standardise(x, IMAGENET_MEAN, IMAGENET_STD)


def clip_normalise(x: Tensor) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
    """Pictures in [-1, 1] normalised by the mean and deviation of CLIP's training."""
    return standardise(x, CLIP_MEAN, CLIP_STD)


def standardise(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pictures (B,3,H,W) in [-1, 1] normalised by a mean and a deviation of those in [0, 1]."""
    middle, spread = (x.new_tensor(v).view(3, 1, 1) for v in (mean, std))
    return ((x + 1) / 2 - middle) / spread


def unchanged(x: Tensor) -> Tensor:
    """Pictures in [-1, 1], for networks that need no other normalisation."""
    return x


def blue_first(x: Tensor) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
    """Pictures in the order of colours of OpenCV, BGR."""
    return x.flip(1)


def facenet_normalise(x: Tensor) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
    """Pictures in [-1, 1] as (level - 127.5) / 128 of their 8-bit levels."""
    return x * (127.5 / 128)


def picture_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files of a folder, by name; an error where there are none."""
    files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"no pictures in {folder}, expected {', '.join(SUFFIXES)}: put some there")
    return files


def read_image(path: str | os.PathLike[str]) -> Tensor:  # (1,H,W,3) in [0, 1]
    """An RGB picture file, turned as its EXIF orientation says; `ValueError` for any other."""
    return _read(path, "RGB")


def read_photo(path: str | os.PathLike[str]) -> Tensor:  # (1,H,W,3 or 4) in [0, 1]
    """Any picture file, turned as `read_image` does: grey, palette, alpha, 8, 16 or 32 bits."""
    with open(path, "rb") as file:
        picture = _decode(file, path)
    if picture.mode in WHITE_LEVELS:
        grey = torch.from_numpy(np.array(picture).astype(np.float32)) / WHITE_LEVELS[picture.mode]
        return grey.clamp(0, 1)[None, ..., None].repeat(1, 1, 1, 3)
    alpha = "A" in picture.getbands() or "transparency" in picture.info
    return from_picture(picture.convert("RGBA" if alpha else "RGB"))[None]


def read_mask(path: str | os.PathLike[str]) -> Tensor:  # (1,H,W) in [0, 1]
    """A grey picture file, white where to edit; `ValueError` for any other."""
    return _read(path, "L")


def _read(path: str | os.PathLike[str], mode: str) -> Tensor:
    with open(path, "rb") as file:
        picture = _decode(file, path)
    if picture.mode != mode:
        bands = f"{picture.mode} with {len(picture.getbands())} channels"
        raise ValueError(f"{path} is {bands}, expected {mode} with 8 bits each: convert it first")
    return from_picture(picture)[None]


def from_picture(picture: Image.Image) -> Tensor:  # -> (H,W,3) or (H,W) in [0, 1]
    """The pixels of a PIL picture of 8 bits."""
    return torch.from_numpy(np.array(picture)).float() / 255


def to_levels(image: Tensor, size: ImageSize) -> Tensor:  # (1,H,W,3) in [0, 1] -> (h,w,3) uint8
    """A picture resized, in 8 bits."""
    levels = resize(image.detach().movedim(-1, 1), size).clamp(0, 1).mul(255).round()
    return levels[0].movedim(0, -1).to("cpu", torch.uint8)


def to_picture(image: Tensor) -> Image.Image:  # (H,W,3) in [0, 1], clamped
    """A PIL picture of 8 bits."""
    levels = image.detach().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.cpu().numpy())


def _decode(file: BinaryIO, path: str | os.PathLike[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(Image.open(file))
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture: give a PNG, JPEG or WebP file") from error
    except (SyntaxError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be decoded, {error}: save it again") from error


def write_png(
    path: str | os.PathLike[str], image: Tensor, metadata: Mapping[str, str] | None = None
) -> None:  # (H,W,3 or 4) or (1,H,W,3 or 4) in [0, 1]
    """Write one picture, whole or not at all; `metadata` becomes UTF-8 text chunks."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in (metadata or {}).items():
        chunks.add_itxt(key, value)
    with atomic_write(path) as part:
        to_picture(image.reshape(image.shape[-3:])).save(part, format="PNG", pnginfo=chunks)
