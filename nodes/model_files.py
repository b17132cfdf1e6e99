"""Nodes that inspect and convert model files, whatever network they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io, ui

from ..editor_core.loading.convert import convert
from ..editor_core.loading.inspection import inspect
from . import host
from .loaders import model_path, schema
from .schemas import output, widget

KINDS = {folder: kind for kind, folder in host.FOLDERS.items()}


def any_file_input() -> io.Input:
    """The input that names a file of any kind, by its folder."""
    return io.Combo.Input(
        "model_file",
        options=[
            f"{folder}/{name}"
            for folder, kind in KINDS.items()
            for name in folder_paths.get_filename_list(host.category(kind))
        ],
        tooltip="A file in a folder of models/face_edit. Nothing in a file is ever executed.",
    )


def file_path(model_file: str) -> str:
    """Where the file of that folder and name lies."""
    folder, _, name = model_file.partition("/")
    return model_path(host.look_up("folder", folder, KINDS), name)


class FileNode(io.ComfyNode):
    """A node that is about one file of any kind."""

    @classmethod
    def validate_inputs(cls, model_file: str | None = None) -> bool | str:
        return host.validate_name(file_path, model_file)

    @classmethod
    def fingerprint_inputs(cls, model_file: str, **others: Any) -> Any:
        return host.fingerprint(file_path(model_file))


class InspectModelFile(FileNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "InspectModelFile",
            "Says what a model file is: its family, sizes, precision, SHA-256 and licence, and "
            "what had to be assumed of it.",
            search_aliases=["checkpoint info", "model metadata", "sha256"],
            is_output_node=True,
            inputs=[any_file_input()],
            outputs=[output(io.String, "report", "A line a fact.")],
        )

    @classmethod
    def execute(cls, model_file: str) -> io.NodeOutput:
        text = inspect(file_path(model_file)).as_text()
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class ConvertModelFile(FileNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "ConvertModelFile",
            "Writes a model file as safetensors, into the folder of its kind, with its source, "
            "licence and configuration inside. It loads faster, and from then on no pickle is "
            "opened.",
            search_aliases=["pickle to safetensors", "onnx to safetensors", "fp16 checkpoint"],
            is_output_node=True,
            inputs=[
                any_file_input(),
                widget(
                    "save_as",
                    "",
                    "Name of the new file, in the models folder of its kind; empty: the old name "
                    "with .safetensors.",
                ),
                widget(
                    "half", False, "Pack floats in 16 bits: half the size, values to three digits."
                ),
                widget("overwrite", False, "Replace a file of that name."),
            ],
            outputs=[output(io.String, "report", "What was written where.")],
        )

    @classmethod
    def execute(cls, model_file: str, save_as: str, half: bool, overwrite: bool) -> io.NodeOutput:
        report = inspect(file_path(model_file))
        name = save_as or Path(*Path(model_file).parts[1:]).with_suffix(".safetensors")
        text = convert(report, host.new_model_path(report.kind, name), half, overwrite)
        return io.NodeOutput(text, ui=ui.PreviewText(text))
