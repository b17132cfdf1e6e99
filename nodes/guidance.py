"""Guidance: each node adds one term to the chain; the sampler takes them all into account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar, cast

from comfy_api.latest import io

from ..editor_core.editing import build_terms
from ..editor_core.face.eyes import EyeBoxes
from ..editor_core.guidance.terms import (
    GazeTerm,
    GuidanceTerm,
    IdentityTerm,
    LpipsTerm,
    ParsingTerm,
    PixelTerm,
    TermSettings,
)
from ..editor_core.guidance.views import RandomViews
from ..editor_core.guidance.windows import PercentWindow
from ..editor_core.loading.models import FaceModels
from ..editor_core.presets import PRESETS
from ..editor_core.settings import EditSettings
from . import host, sockets
from .inputs import setting_inputs, widget

Term = TypeVar("Term", bound=GuidanceTerm)

CATEGORY = "face editing/guidance"
CHOICES = {name: PRESETS[name] for name in ("diffface", "paper", "demo")}


@dataclass(frozen=True)
class Chain:
    """Guidance terms, the first wired first, and the models that they need on the device."""

    terms: tuple[GuidanceTerm, ...] = ()
    models: tuple[host.ManagedModel, ...] = ()

    def of(self, kind: type[Term]) -> Iterator[Term]:
        """The terms of a kind."""
        return (term for term in self.terms if isinstance(term, kind))


class TermNode(io.ComfyNode):
    """A node that adds one term to the chain.

    What a term is made of comes in by sockets of its fields' names, or by those with `_model`.
    """

    term: ClassVar[type[GuidanceTerm]]

    @classmethod
    def term_schema(
        cls,
        node: str,
        *,
        needs: Sequence[io.Input] = (),
        weight: TermSettings | None = None,
        options: Sequence[io.Input] = (),
        **facts: Any,
    ) -> io.Schema:
        """A schema that asks for what the term needs, its scale and its window.

        `weight` holds their defaults where they are not those of `EditSettings`.
        """
        weight = weight or getattr(EditSettings(), cls.term.name)
        return host.schema(
            node,
            category=CATEGORY,
            inputs=[
                *needs,
                *setting_inputs(weight),
                *setting_inputs(weight.window),
                *options,
                sockets.Guidance.Input(
                    "guidance",
                    optional=True,
                    tooltip="Guidance to add this to; without it this is first.",
                ),
            ],
            outputs=[sockets.Guidance.Output(display_name="guidance")],
            **facts,
        )

    @classmethod
    def execute(
        cls,
        scale: float,
        start_percent: float,
        end_percent: float,
        guidance: Chain | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        chain = guidance or Chain()
        if not scale:
            return io.NodeOutput(chain)
        managed = {k: each for k, each in given.items() if isinstance(each, host.ManagedModel)}
        models = {k.removesuffix("_model"): each.model for k, each in managed.items()}
        others = {k: each for k, each in given.items() if k not in managed}
        window = PercentWindow(start_percent, end_percent)
        term = cls.make(**models, **others, scale=scale, window=window)
        return io.NodeOutput(Chain((*chain.terms, term), (*chain.models, *managed.values())))

    @classmethod
    def make(cls, **known: Any) -> GuidanceTerm:
        """The term, made of what came in."""
        return cls.term(**known)


class IdentityGuidance(TermNode):
    term = IdentityTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "IdentityGuidance",
            display_name="Identity Guidance",
            description="Pulls the face in the mask towards the source's identity, looked at from "
            "several random views.",
            search_aliases=["arcface loss", "id loss"],
            needs=[
                sockets.IdentityModel.Input("identity_model", tooltip="From Load Identity Model.")
            ],
            options=[
                *setting_inputs(EditSettings, "views"),
                *setting_inputs(
                    RandomViews, "max_rotation", "max_shift", "max_inset", "probability"
                ),
            ],
        )

    @classmethod
    def make(
        cls,
        views: int,
        max_rotation: float,
        max_shift: float,
        max_inset: float,
        probability: float,
        **known: Any,
    ) -> GuidanceTerm:
        """The term with its views."""
        looks = RandomViews(views, max_rotation, max_shift, max_inset, probability)
        return IdentityTerm(views=looks, **known)


class ParsingGuidance(TermNode):
    term = ParsingTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "ParsingGuidance",
            display_name="Parsing Guidance",
            description="Keeps the parts of the target's face where they are: its shape, mouth "
            "and expression.",
            search_aliases=["segmentation loss", "expression"],
            needs=[sockets.ParserModel.Input("parser", tooltip="From Load Face Parser.")],
        )


class GazeGuidance(TermNode):
    term = GazeTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "GazeGuidance",
            display_name="Gaze Guidance",
            description="Keeps the eyes looking where the target's eyes look, as EyeNet reads each "
            "eye or L2CS-Net the face.",
            search_aliases=["gaze loss", "eye contact"],
            needs=[
                sockets.GazeModel.Input("gaze_model", tooltip="From Load Gaze Model."),
                sockets.Eyes.Input("eyes", tooltip="Of the targets, from Crop Eyes."),
            ],
        )


class LpipsGuidance(TermNode):
    term = LpipsTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "LpipsGuidance",
            display_name="LPIPS Guidance",
            description="Keeps what lies outside the mask alike to the eye while the edit grows, "
            "as in Blended Diffusion.",
            search_aliases=["perceptual loss", "background preservation"],
            needs=[sockets.LpipsModel.Input("lpips_model", tooltip="From Load LPIPS Model.")],
            weight=TermSettings(1000),
        )


class PixelGuidance(TermNode):
    term = PixelTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "PixelGuidance",
            display_name="Pixel Guidance",
            description="Keeps the colours of the target, pixel by pixel.",
            search_aliases=["l2 loss", "mse loss"],
        )


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
                widget(
                    "preset",
                    "diffface",
                    "diffface: the published code's scales "
                    f"({CHOICES['diffface'].respacing} steps, skip {CHOICES['diffface'].skip}). "
                    "paper: those of the paper. demo: for the bundled models "
                    f"({sampling_of(CHOICES['demo'])}).",
                    choices=CHOICES,
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
        identity_model: host.ManagedModel,
        parser: host.ManagedModel,
        gaze_model: host.ManagedModel | None = None,
        eyes: EyeBoxes | None = None,
        lpips_model: host.ManagedModel | None = None,
    ) -> io.NodeOutput:
        settings = host.look_up("preset", preset, CHOICES)
        wired = {"gaze": gaze_model, "lpips": lpips_model}
        off = {name: TermSettings(0) for name, model in wired.items() if model is None}
        wired |= {"identity": identity_model, "parser": parser}
        models = SimpleNamespace(**{name: each and each.model for name, each in wired.items()})
        terms = build_terms(replace(settings, **off), cast(FaceModels, models), eyes)
        needed = {name for term in terms for name in vars(term)}
        managed = (each for name, each in wired.items() if each and name in needed)
        return io.NodeOutput(Chain(tuple(terms), tuple(managed)))


def sampling_of(settings: EditSettings) -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    return (
        f"{settings.sampler}, {settings.respacing} steps, skip {settings.skip}, "
        f"eta {settings.eta:g}, ramp_end {settings.ramp_end:g}, "
        f"clip_denoised {settings.clip_denoised}"
    )


NODES = [
    IdentityGuidance,
    ParsingGuidance,
    GazeGuidance,
    LpipsGuidance,
    PixelGuidance,
    GuidancePreset,
]
