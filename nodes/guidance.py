"""Guidance: each node adds one term to the chain; the sampler obeys them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from comfy_api.latest import io

from ..editor_core.editing import guidance_of
from ..editor_core.face.eyes import EyeBoxes
from ..editor_core.guidance import chain
from ..editor_core.guidance.terms import PercentWindow
from ..editor_core.guidance.views import RandomViews
from ..editor_core.presets import preset
from ..editor_core.settings import TermSettings
from . import host, sockets

CATEGORY = "face editing/guidance"
PRESETS = ("diffface", "paper", "demo")
OFF = TermSettings(0)


@dataclass(frozen=True)
class Link:
    """One guidance of a chain, with its network where it has one."""

    guidance: chain.Guidance
    hosted: host.Hosted[Any] | None = None


Chain = Sequence[Link]


def pull_inputs(scale: float, start: float = 0.0, end: float = 1.0) -> list[Any]:
    """What every guidance asks: how hard, from when, until when."""
    return [
        io.Float.Input(
            "scale",
            default=scale,
            min=0.0,
            max=1_000_000.0,
            step=0.1,
            tooltip="How hard this term pulls; 0 leaves it out. More follows it more closely and "
            "tears the picture in the end.",
        ),
        io.Float.Input(
            "start_percent",
            default=start,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="When the term begins: 0 is pure noise, 1 the finished picture.",
        ),
        io.Float.Input(
            "end_percent",
            default=end,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="When the term ends. A shorter window costs less time.",
        ),
    ]


def chain_input() -> Any:
    """The chain before this link."""
    return sockets.Guidance.Input(
        "guidance", optional=True, tooltip="Guidance to add this to; without it this is first."
    )


def linked(
    before: Chain | None,
    make: Callable[..., chain.Guidance],
    hosted: host.Hosted[Any] | None,
    scale: float,
    start_percent: float,
    end_percent: float,
) -> io.NodeOutput:
    """The chain with one more link, unless its scale is 0."""
    if not scale:
        return io.NodeOutput(tuple(before or ()))
    window = PercentWindow(start_percent, end_percent)
    return io.NodeOutput((*(before or ()), Link(make(scale=scale, window=window), hosted)))


class IdentityGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "IdentityGuidance",
            display_name="Identity Guidance",
            category=CATEGORY,
            description="Pulls the face in the mask towards the source's identity, looked at from "
            "several random views.",
            search_aliases=["arcface loss", "id loss"],
            inputs=[
                sockets.IdentityModel.Input("identity_model", tooltip="From Load Identity Model."),
                *pull_inputs(6000.0),
                io.Int.Input(
                    "views",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="Views of the face at each step, the first of them plain. More is "
                    "steadier and slower.",
                ),
                io.Float.Input(
                    "max_rotation",
                    default=15.0,
                    min=0.0,
                    max=90.0,
                    step=1.0,
                    tooltip="Degrees by which a view may be turned, either way.",
                ),
                io.Float.Input(
                    "max_shift",
                    default=0.1,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Share of its side by which a view may be shifted, either way.",
                ),
                io.Float.Input(
                    "max_inset",
                    default=0.35,
                    min=0.0,
                    max=0.45,
                    step=0.01,
                    tooltip="Share of its side by which a corner may move inwards: perspective.",
                ),
                io.Float.Input(
                    "probability",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="That a view is turned and shifted, and that it is seen in "
                    "perspective.",
                ),
                chain_input(),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        identity_model: host.Hosted,
        scale: float,
        start_percent: float,
        end_percent: float,
        views: int,
        max_rotation: float,
        max_shift: float,
        max_inset: float,
        probability: float,
        guidance: Chain | None = None,
    ) -> io.NodeOutput:
        looks = partial(
            RandomViews,
            copies=views,
            max_rotation=max_rotation,
            max_shift=max_shift,
            max_inset=max_inset,
            probability=probability,
        )
        make = partial(chain.IdentityGuidance, identity_model.model, looks)
        return linked(guidance, make, identity_model, scale, start_percent, end_percent)


class ParsingGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "ParsingGuidance",
            display_name="Parsing Guidance",
            category=CATEGORY,
            description="Keeps the parts of the target's face where they are: its shape, mouth "
            "and expression.",
            search_aliases=["segmentation loss", "expression"],
            inputs=[
                sockets.ParserModel.Input("parser", tooltip="From Load Face Parser."),
                *pull_inputs(200.0),
                chain_input(),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        parser: host.Hosted,
        scale: float,
        start_percent: float,
        end_percent: float,
        guidance: Chain | None = None,
    ) -> io.NodeOutput:
        make = partial(chain.ParsingGuidance, parser.model)
        return linked(guidance, make, parser, scale, start_percent, end_percent)


class GazeGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "GazeGuidance",
            display_name="Gaze Guidance",
            category=CATEGORY,
            description="Keeps the eyes looking where the target's eyes look, as EyeNet reads each "
            "eye or L2CS-Net the face.",
            search_aliases=["gaze loss", "eye contact"],
            inputs=[
                sockets.GazeModel.Input("gaze_model", tooltip="From Load Gaze Model."),
                sockets.Eyes.Input("eyes", tooltip="Of the targets, from Crop Eyes."),
                *pull_inputs(200.0, 0.5, 0.9),
                chain_input(),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        gaze_model: host.Hosted,
        eyes: EyeBoxes,
        scale: float,
        start_percent: float,
        end_percent: float,
        guidance: Chain | None = None,
    ) -> io.NodeOutput:
        make = partial(chain.GazeGuidance, gaze_model.model, eyes)
        return linked(guidance, make, gaze_model, scale, start_percent, end_percent)


class LpipsGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "LpipsGuidance",
            display_name="LPIPS Guidance",
            category=CATEGORY,
            description="Keeps what lies outside the mask alike to the eye while the edit grows, "
            "as in Blended Diffusion.",
            search_aliases=["perceptual loss", "background preservation"],
            inputs=[
                sockets.LpipsModel.Input("lpips_model", tooltip="From Load LPIPS Model."),
                *pull_inputs(1000.0),
                chain_input(),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        lpips_model: host.Hosted,
        scale: float,
        start_percent: float,
        end_percent: float,
        guidance: Chain | None = None,
    ) -> io.NodeOutput:
        make = partial(chain.LpipsGuidance, lpips_model.model)
        return linked(guidance, make, lpips_model, scale, start_percent, end_percent)


class PixelGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "PixelGuidance",
            display_name="Pixel Guidance",
            category=CATEGORY,
            description="Keeps the colours of the target, pixel by pixel.",
            search_aliases=["l2 loss", "mse loss"],
            inputs=[*pull_inputs(50.0), chain_input()],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        scale: float,
        start_percent: float,
        end_percent: float,
        guidance: Chain | None = None,
    ) -> io.NodeOutput:
        return linked(guidance, chain.PixelGuidance, None, scale, start_percent, end_percent)


class GuidancePreset(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "GuidancePreset",
            display_name="Guidance Preset",
            category=CATEGORY,
            description="A whole chain at once, with the scales and windows of a preset. A term "
            "whose model is not wired is left out.",
            search_aliases=["diffface preset"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default="diffface",
                    tooltip="diffface: the published code's scales (100 steps, skip 25). paper: "
                    f"those of the paper. demo: for the bundled models ({sampling_of('demo')}).",
                ),
                sockets.IdentityModel.Input("identity_model", tooltip="From Load Identity Model."),
                sockets.ParserModel.Input("parser", tooltip="From Load Face Parser."),
                sockets.GazeModel.Input(
                    "gaze_model", optional=True, tooltip="Without it the gaze is left out."
                ),
                sockets.Eyes.Input(
                    "eyes", optional=True, tooltip="Of the targets; needed for the gaze."
                ),
                sockets.LpipsModel.Input(
                    "lpips_model",
                    optional=True,
                    tooltip="Used by demo alone; without it LPIPS is left out.",
                ),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
        )

    @classmethod
    def execute(
        cls,
        preset: str,
        identity_model: host.Hosted,
        parser: host.Hosted,
        gaze_model: host.Hosted | None = None,
        eyes: EyeBoxes | None = None,
        lpips_model: host.Hosted | None = None,
    ) -> io.NodeOutput:
        hosts = {
            "identity": identity_model,
            "parsing": parser,
            "gaze": gaze_model,
            "lpips": lpips_model,
        }
        return io.NodeOutput(preset_chain(preset, hosts, eyes))


def sampling_of(name: str) -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    numbers = preset(name)
    return (
        f"{numbers.sampler}, {numbers.respacing} steps, skip {numbers.skip}, eta {numbers.eta:g}, "
        f"ramp_end {numbers.ramp_end:g}, clip_denoised {numbers.clip_denoised}"
    )


def preset_chain(name: str, hosts: dict[str, Any], eyes: EyeBoxes | None) -> Chain:
    """The chain of a preset, without the terms whose models are missing."""
    missing = {term: OFF for term, hosted in hosts.items() if hosted is None}
    settings = replace(preset(name), **missing)
    models = {term: hosted and hosted.model for term, hosted in hosts.items()}

    def wired_eyes() -> EyeBoxes:
        if eyes is None:
            raise ValueError("the gaze needs eyes, got none: wire Crop Eyes, or no gaze model")
        return eyes

    pulls = guidance_of(
        settings,
        models["identity"],
        models["parsing"],
        models["gaze"],
        models["lpips"],
        wired_eyes,
    )
    return tuple(Link(pull, hosts.get(pull.name)) for pull in pulls)


NODES = [
    IdentityGuidance,
    ParsingGuidance,
    GazeGuidance,
    LpipsGuidance,
    PixelGuidance,
    GuidancePreset,
]
