"""The core nodes that our workflows use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor
from torch.nn.functional import interpolate

from . import io
from .sampling_nodes import SAMPLING


class LoadImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadImage",
            inputs=[io.Combo.Input("image")],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        path = Path(folder_paths.get_input_directory(), image)
        pixels = np.array(Pictures.open(path).convert("RGB"))
        return io.NodeOutput(torch.from_numpy(pixels)[None].float() / 255, torch.zeros(1, 64, 64))


class SaveImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveImage",
            is_output_node=True,
            inputs=[io.Image.Input("images"), io.String.Input("filename_prefix")],
        )

    @classmethod
    def execute(cls, images: Tensor, filename_prefix: str) -> io.NodeOutput:
        for picture in images:
            folder, name, number, *_ = folder_paths.get_save_image_path(
                filename_prefix, folder_paths.get_output_directory()
            )
            levels = (picture * 255).clamp(0, 255).byte().cpu().numpy()
            Pictures.fromarray(levels).save(Path(folder, f"{name}_{number:05}_.png"))
        return io.NodeOutput()


class PreviewImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewImage", is_output_node=True, inputs=[io.Image.Input("images")]
        )

    @classmethod
    def execute(cls, images: Tensor) -> io.NodeOutput:
        if images.ndim != 4:
            raise ValueError(f"images have shape {tuple(images.shape)}")
        return io.NodeOutput()


class ImageScale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageScale",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method"),
                io.Int.Input("width"),
                io.Int.Input("height"),
                io.Combo.Input("crop"),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, upscale_method: str, width: int, height: int, crop: str
    ) -> io.NodeOutput:
        x = interpolate(image.movedim(-1, 1), (height, width), mode="bilinear", antialias=True)
        return io.NodeOutput(x.movedim(1, -1))


class EmptyImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        numbers = [io.Int.Input(each) for each in ("width", "height", "batch_size", "color")]
        return io.Schema(node_id="EmptyImage", inputs=numbers, outputs=[io.Image.Output()])

    @classmethod
    def execute(cls, width: int, height: int, batch_size: int, color: int) -> io.NodeOutput:
        levels = torch.tensor([color >> 16, color >> 8 & 0xFF, color & 0xFF])
        return io.NodeOutput((levels / 255).expand(batch_size, height, width, 3))


class ImageCompositeMasked(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageCompositeMasked",
            inputs=[
                io.Image.Input("destination"),
                io.Image.Input("source"),
                io.Int.Input("x"),
                io.Int.Input("y"),
                io.Boolean.Input("resize_source"),
                io.Mask.Input("mask", optional=True),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(
        cls, destination: Tensor, source: Tensor, x: int, y: int, resize_source: bool
    ) -> io.NodeOutput:
        made = destination.clone()
        height, width = source.shape[1:3]
        made[:, y : y + height, x : x + width] = source
        return io.NodeOutput(made)


class ImageColorToMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageColorToMask",
            inputs=[io.Image.Input("image"), io.Int.Input("color")],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor, color: int) -> io.NodeOutput:
        levels = (image * 255).round().int() * torch.tensor([1 << 16, 1 << 8, 1])
        return io.NodeOutput((levels.sum(3) == color).float())


class MaskPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(node_id="MaskPreview", is_output_node=True, inputs=[io.Mask.Input("mask")])

    @classmethod
    def execute(cls, mask: Tensor) -> io.NodeOutput:
        if mask.ndim != 3:
            raise ValueError(f"mask has shape {tuple(mask.shape)}")
        return io.NodeOutput()


class PreviewAny(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewAny", is_output_node=True, inputs=[io.String.Input("source")]
        )

    @classmethod
    def execute(cls, source: Any) -> io.NodeOutput:
        return io.NodeOutput()


CORE = {
    node.define_schema().node_id: node
    for node in (
        *(LoadImage, SaveImage, PreviewImage, ImageScale, MaskPreview, PreviewAny),
        *(EmptyImage, ImageCompositeMasked, ImageColorToMask),
        *SAMPLING,
    )
}
