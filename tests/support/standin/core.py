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
    for node in (LoadImage, SaveImage, PreviewImage, ImageScale, MaskPreview, PreviewAny)
}
