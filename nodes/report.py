"""What an edit leaves behind: plots, files, sheets; and pictures to try it on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io, ui
from torch import Tensor

from ..editor_core.face.parsing import FaceParsing, paint_parsing
from ..editor_core.files import write_text
from ..editor_core.images import picture_files, read_image, write_png
from ..editor_core.metrics import EditMetrics
from ..editor_core.provenance import edit_mark
from ..editor_core.sheet import contact_sheets
from . import host, sockets
from .schemas import node_schema, optional, output, prefix_input, required, seed_input, widget

schema = partial(node_schema, category="face editing/report")
FORMATS = {"json": EditMetrics.to_json, "csv": EditMetrics.to_csv}
DEMO_SIZE = 64  # pixels, what the bundled models edit


class MetricsPlot(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "MetricsPlot",
            "Draws every term over the steps: each candidate thin, their mean bold.",
            search_aliases=["loss curve"],
            inputs=[required(sockets.Metrics, "metrics", "From Guided Face Sampler.")],
            outputs=[output(io.Image, "plot", "A panel for each term.")],
        )

    @classmethod
    def execute(cls, metrics: EditMetrics) -> io.NodeOutput:
        return io.NodeOutput(metrics.plot()[None])


class SaveMetrics(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "SaveMetrics",
            "Writes every term at every step to ComfyUI's output folder.",
            search_aliases=["export csv", "export json"],
            is_output_node=True,
            inputs=[
                required(sockets.Metrics, "metrics", "From Guided Face Sampler."),
                prefix_input("face_edit/metrics"),
                widget(
                    "format",
                    "json",
                    "json: one list a term. csv: one line a value.",
                    choices=FORMATS,
                ),
            ],
            outputs=[output(io.String, "path", "The file that was written.")],
        )

    @classmethod
    def execute(cls, metrics: EditMetrics, filename_prefix: str, format: str) -> io.NodeOutput:
        text = host.look_up("format", format, FORMATS)(metrics)
        path = host.output_path(filename_prefix, format)
        write_text(path, text)
        return io.NodeOutput(str(path), ui=ui.PreviewText(str(path)))


class SaveEditedImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "SaveEditedImage",
            "Writes edits as PNG to ComfyUI's output folder, with the workflow and with IPTC's "
            "mark that says they are composites made by a model.",
            search_aliases=["save image", "provenance", "iptc"],
            is_output_node=True,
            inputs=[
                required(io.Image, "images", "Edits, for instance the sampler's best."),
                prefix_input("face_edit/edit"),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, images: Tensor, filename_prefix: str) -> io.NodeOutput:
        workflow = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
        chunks = {name: json.dumps(value) for name, value in workflow.items() if value is not None}
        saved = []
        for image in images.float():
            path = host.output_path(filename_prefix, "png")
            write_png(path, image, {**edit_mark(), **chunks})
            folder = path.parent.relative_to(folder_paths.get_output_directory())
            saved.append(ui.SavedResult(path.name, folder.as_posix(), io.FolderType.output))
        return io.NodeOutput(ui=ui.SavedImages(saved))


class ComparisonSheet(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "ComparisonSheet",
            "Puts source, target, parsing, mask and edit side by side, with captions. A batch "
            "gives one sheet a picture.",
            search_aliases=["contact sheet", "before after"],
            inputs=[
                optional(io.Image, "source", "Who it became."),
                optional(io.Image, "target", "What was edited."),
                optional(sockets.Parsing, "parsing", "Of the target."),
                optional(io.Mask, "mask", "Where it was edited."),
                optional(io.Image, "edited", "What came out."),
                widget(
                    "side", 256, "Height of every picture, in pixels.", low=64, high=2048, step=8
                ),
            ],
            outputs=[output(io.Image, "sheet", "A row of pictures for each of the batch.")],
        )

    @classmethod
    def execute(
        cls,
        side: int,
        source: Tensor | None = None,
        target: Tensor | None = None,
        parsing: FaceParsing | None = None,
        mask: Tensor | None = None,
        edited: Tensor | None = None,
    ) -> io.NodeOutput:
        panels = {
            "source": source,
            "target": target,
            "parsing": None if parsing is None else paint_parsing(parsing.labels),
            "mask": None if mask is None else mask[..., None].expand(-1, -1, -1, 3),
            "edited": edited,
        }
        shown = [(name, image.float()) for name, image in panels.items() if image is not None]
        return io.NodeOutput(contact_sheets(shown, side))


class LoadImagePairs(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadImagePairs",
            "Reads a folder of sources and one of targets, and hands out pair after pair: what "
            "follows runs once for each.",
            search_aliases=["batch folder", "load images from folder"],
            inputs=[
                widget("source_folder", "sources", "In ComfyUI's input folder: the faces to take."),
                widget(
                    "target_folder", "targets", "In ComfyUI's input folder: the pictures to edit."
                ),
                widget(
                    "pairing",
                    "in order",
                    "in order: first with first by name, both folders equally full. every: each "
                    "source on each target.",
                    choices=PAIRINGS,
                ),
            ],
            outputs=[
                output(io.Image, "sources", "The source of each pair.", is_output_list=True),
                output(io.Image, "targets", "The target of each pair.", is_output_list=True),
                output(io.String, "names", "source_on_target.", is_output_list=True),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, source_folder: str, target_folder: str, pairing: str) -> Any:
        folders = (host.input_folder(name) for name in (source_folder, target_folder))
        return [host.fingerprint(path) for folder in folders for path in picture_files(folder)]

    @classmethod
    def execute(cls, source_folder: str, target_folder: str, pairing: str) -> io.NodeOutput:
        sources, targets = (
            picture_files(host.input_folder(name)) for name in (source_folder, target_folder)
        )
        pairs = list(host.look_up("pairing", pairing, PAIRINGS)(sources, targets))
        pictures = {path: read_image(path) for path in (*sources, *targets)}
        return io.NodeOutput(
            [pictures[source] for source, _ in pairs],
            [pictures[target] for _, target in pairs],
            [f"{source.stem}_on_{target.stem}" for source, target in pairs],
        )


def in_order(sources: list[Path], targets: list[Path]) -> Iterable[tuple[Path, Path]]:
    """First with first, by name."""
    if len(sources) != len(targets):
        raise ValueError(
            f"got {len(sources)} sources and {len(targets)} targets: make them equally many, or "
            "choose every"
        )
    return zip(sources, targets, strict=True)


PAIRINGS = {"in order": in_order, "every": product}


class DrawDemoPortraits(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "DrawDemoPortraits",
            "Draws a source and a target that nobody trained on, and the true swap: 64 pixels, "
            "for the bundled demo models.",
            search_aliases=["example faces", "test portraits"],
            inputs=[
                seed_input("Which people; try others."),
                widget("pairs", 1, "How many; the next has the next seed.", low=1, high=64),
            ],
            outputs=[
                output(io.Image, "source", "The faces to take."),
                output(io.Image, "target", "The pictures to edit."),
                output(io.Image, "true_swap", "The right answer, to compare with."),
            ],
        )

    @classmethod
    def execute(cls, seed: int, pairs: int) -> io.NodeOutput:
        from ..editor_core.demo.pairs import draw_pairs

        drawn = draw_pairs(pairs, seed, DEMO_SIZE)
        return io.NodeOutput(drawn.source.image, drawn.target.image, drawn.truth.image)
