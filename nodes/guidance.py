"""Guidance: each node adds one term to the chain; the sampler takes them all into account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from comfy_api.latest import io

from ..editor_core.declare import declared
from ..editor_core.editing import build_terms
from ..editor_core.face.clip import TextWish, text_directions
from ..editor_core.face.expression import ExpressionGoal
from ..editor_core.face.eyes import EyeBoxes
from ..editor_core.face.gaze import GazeGoal
from ..editor_core.face.identity import IdentityEncoder
from ..editor_core.face.landmarks import FaceLandmarker
from ..editor_core.face.templates import usual_template
from ..editor_core.guidance import terms
from ..editor_core.guidance.terms import GuidanceTerm, TermSettings
from ..editor_core.guidance.views import RandomViews
from ..editor_core.guidance.windows import PercentWindow
from ..editor_core.presets import PRESETS
from ..editor_core.settings import SET_EXPRESSION, EditSettings
from . import host, sockets
from .host import ManagedModel
from .schemas import node_schema, optional, output, required, setting_inputs, widget

Term = TypeVar("Term", bound=GuidanceTerm)

schema = partial(node_schema, category="face editing/guidance")
VIEW_LIMITS = ("max_rotation", "max_shift", "max_inset", "probability")  # of RandomViews
CHOICES = {name: PRESETS[name] for name in ("diffface", "paper", "unconditional", "demo")}


@dataclass(frozen=True)
class Chain:
    """Guidance terms, the first wired first, and the models that they need on the device."""

    terms: tuple[GuidanceTerm, ...] = ()
    models: tuple[ManagedModel, ...] = ()

    def of(self, kind: type[Term]) -> Iterator[Term]:
        """The terms of a kind."""
        return (term for term in self.terms if isinstance(term, kind))

    @property
    def encoder(self) -> IdentityEncoder | None:
        """That of the first identity term, which ranks edits."""
        return next((term.identity for term in self.of(terms.IdentityTerm)), None)

    @property
    def template(self) -> str:
        """What aligned pictures are taken to be cut to: as is usual for the encoder."""
        encoder = self.encoder
        return EditSettings.template if encoder is None else usual_template(encoder.template)


class TermNode(io.ComfyNode):
    """A node that adds one term to the chain.

    What a term is made of comes in by sockets of its fields' names, or by those with `_model`.
    """

    term: ClassVar[type[GuidanceTerm]]

    @classmethod
    def term_schema(
        cls,
        node: str,
        description: str,
        *,
        needs: Sequence[io.Input] = (),
        weight: TermSettings | None = None,
        options: Sequence[io.Input] = (),
        **facts: Any,
    ) -> io.Schema:
        """A schema that asks for what the term needs, its scale and its window.

        `weight` holds their defaults where they are not those of `EditSettings`.
        """
        default: TermSettings = weight or getattr(EditSettings(), cls.term.name)
        return schema(
            node,
            description,
            inputs=[
                *needs,
                *setting_inputs(default),
                *setting_inputs(default.window),
                *options,
                optional(
                    io.Mask,
                    "mask",
                    "Where this term pulls: fully in white, half in grey. One, or one a target; "
                    "with faces, of the photos or of the aligned crops. Without it, everywhere.",
                ),
                optional(
                    sockets.Guidance,
                    "guidance",
                    "Guidance to add this to; without it this is first.",
                ),
            ],
            outputs=[output(sockets.Guidance, "guidance", "With this term at its end.")],
            **facts,
        )

    @classmethod
    def execute(cls, scale: float, guidance: Chain | None = None, **given: Any) -> io.NodeOutput:
        chain = guidance or Chain()
        if not scale:
            return io.NodeOutput(chain)
        window = PercentWindow(given.pop("start_percent"), given.pop("end_percent"))
        managed = {k: each for k, each in given.items() if isinstance(each, ManagedModel)}
        models = {k.removesuffix("_model"): each.model for k, each in managed.items()}
        others = {k: each for k, each in given.items() if k not in managed}
        term = cls.make(**models, **others, scale=scale, window=window)
        return io.NodeOutput(Chain((*chain.terms, term), (*chain.models, *managed.values())))

    @classmethod
    def make(cls, **known: Any) -> GuidanceTerm:
        """The term, made of what came in."""
        return cls.term(**known)


class ViewedTermNode(TermNode):
    """A node of a term that looks at the picture from random views."""

    views = (*setting_inputs(EditSettings, "views"), *setting_inputs(RandomViews, *VIEW_LIMITS))

    @classmethod
    def make(cls, views: int, **known: Any) -> GuidanceTerm:
        """The term with its random views."""
        limits = {name: known.pop(name) for name in VIEW_LIMITS}
        return super().make(views=RandomViews(views, **limits), **known)


class IdentityGuidance(ViewedTermNode):
    term = terms.IdentityTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "IdentityGuidance",
            "Pulls the face in the mask towards the source's identity, looked at from several "
            "random views.",
            search_aliases=["arcface loss", "id loss"],
            needs=[required(sockets.IdentityModel, "identity_model", "From Load Identity Model.")],
            options=[
                *cls.views,
                optional(
                    sockets.Embedding,
                    "embedding",
                    "Somebody else than the sampler's embedding, for instance in the region of a "
                    "mask; one, or one a target.",
                ),
            ],
        )


class ParsingGuidance(TermNode):
    term = terms.ParsingTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "ParsingGuidance",
            "Keeps the parts of the target's face where they are: its shape, mouth and expression.",
            search_aliases=["segmentation loss", "expression"],
            needs=[required(sockets.ParserModel, "parser", "From Load Face Parser.")],
        )


class GazeGuidance(TermNode):
    term = terms.GazeTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "GazeGuidance",
            "Keeps the eyes looking where the target's eyes look, or has them look where you say "
            "or at the camera, as EyeNet reads each eye or L2CS-Net the face.",
            search_aliases=["gaze loss", "eye contact", "gaze correction", "look at camera"],
            needs=[
                required(sockets.GazeModel, "gaze_model", "From Load Gaze Model."),
                required(sockets.Eyes, "eyes", "Of the targets, from Crop Eyes."),
            ],
            options=setting_inputs(GazeGoal, optional=True),
        )

    @classmethod
    def make(cls, **known: Any) -> GuidanceTerm:
        """The term with its goal; workflows of before there were goals keep the gaze."""
        goal = {name: known.pop(name) for name in declared(GazeGoal) if name in known}
        return terms.GazeTerm(goal=GazeGoal(**goal), **known)


class LpipsGuidance(TermNode):
    term = terms.LpipsTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "LpipsGuidance",
            "Keeps what lies outside the mask alike to the eye while the edit grows, as in "
            "Blended Diffusion.",
            display_name="LPIPS Guidance",
            search_aliases=["perceptual loss", "background preservation"],
            needs=[required(sockets.LpipsModel, "lpips_model", "From Load LPIPS Model.")],
            weight=TermSettings(1000),
        )


class PixelGuidance(TermNode):
    term = terms.PixelTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "PixelGuidance",
            "Keeps the colours of the target, pixel by pixel.",
            search_aliases=["l2 loss", "mse loss"],
        )


class LightGuidance(TermNode):
    term = terms.LightTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "LightGuidance",
            "Keeps the target's light and complexion inside the mask: its coarse colours, cell by "
            "cell, with everything finer free.",
            search_aliases=["colour match", "skin tone", "relight"],
            weight=TermSettings(1000),
            options=setting_inputs(terms.LightTerm, "cells"),
        )


class LandmarkTermNode(TermNode):
    """A node of a term that reads landmarks."""

    needs = (
        required(
            sockets.Landmarker, "landmarker", "From Load Face Landmarker; it must see a face."
        ),
    )

    @classmethod
    def make(cls, landmarker: FaceLandmarker, **known: Any) -> GuidanceTerm:
        """The term with its network."""
        return super().make(landmarks=landmarker, **known)


class ExpressionGuidance(LandmarkTermNode):
    term = terms.ExpressionTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "ExpressionGuidance",
            "Keeps the target's expression: the contours of eyes, brows and mouth, measured on the "
            "head however it is turned.",
            search_aliases=["landmark loss", "mouth shape", "keep expression"],
            needs=cls.needs,
            weight=TermSettings(300),
        )


class BlendshapeGuidance(LandmarkTermNode):
    term = terms.BlendshapeTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "BlendshapeGuidance",
            "Gives the edit an expression: a smile, an open jaw, closed lids, by ARKit's "
            "blendshapes. Those below 0 are free.",
            search_aliases=["set expression", "smile", "arkit", "face pose"],
            needs=cls.needs,
            weight=SET_EXPRESSION,
            options=setting_inputs(ExpressionGoal),
        )

    @classmethod
    def make(cls, **known: Any) -> GuidanceTerm:
        """The term with the blendshapes that the sliders ask for."""
        goal = ExpressionGoal(**{name: known.pop(name) for name in declared(ExpressionGoal)})
        return super().make(asked=goal.asked(), **known)


class TextGuidance(ViewedTermNode):
    term = terms.TextTerm

    @classmethod
    def define_schema(cls) -> io.Schema:
        return cls.term_schema(
            "TextGuidance",
            "Pulls the edit towards what a text says, until CLIP sees it: a beard, a hair colour, "
            "an age.",
            search_aliases=["clip guidance", "prompt", "attribute", "beard", "hair colour", "age"],
            needs=[
                required(
                    sockets.ClipModel, "clip_model", "From Load CLIP Model or Pair CLIP Models."
                ),
                *setting_inputs(TextWish, "prompt", "negative_prompt", multiline=True),
                *setting_inputs(TextWish, "margin"),
            ],
            weight=TermSettings(1000),
            options=cls.views,
        )

    @classmethod
    def execute(cls, clip_model: ManagedModel, prompt: str, **given: Any) -> io.NodeOutput:
        wish, texts = TextWish(prompt, given.pop("negative_prompt"), given["margin"]), None
        if given["scale"]:
            with host.on_device(clip_model):
                texts = text_directions(clip_model.model, wish)
        return super().execute(clip_model=clip_model, texts=texts, **given)


class GuidancePreset(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "GuidancePreset",
            "A whole chain at once, with the scales and windows of a preset. A term whose model "
            "is not wired is left out.",
            search_aliases=["diffface preset"],
            inputs=[
                widget(
                    "preset",
                    "diffface",
                    "diffface: the published code's scales "
                    f"({CHOICES['diffface'].respacing} steps, skip {CHOICES['diffface'].skip}). "
                    "paper: those of the paper. unconditional: for a U-Net that is given no "
                    f"identity ({sampling_of(CHOICES['unconditional'])}). demo: for the bundled "
                    f"models ({sampling_of(CHOICES['demo'])}).",
                    choices=CHOICES,
                ),
                required(sockets.IdentityModel, "identity_model", "From Load Identity Model."),
                required(sockets.ParserModel, "parser", "From Load Face Parser."),
                optional(sockets.GazeModel, "gaze_model", "Without it the gaze is left out."),
                optional(sockets.Eyes, "eyes", "Of the targets; needed for the gaze."),
                optional(sockets.LpipsModel, "lpips_model", "Without it LPIPS is left out."),
            ],
            outputs=[output(sockets.Guidance, "guidance", "The preset's terms.")],
        )

    @classmethod
    def execute(
        cls, preset: str, eyes: EyeBoxes | None = None, **wired: ManagedModel
    ) -> io.NodeOutput:
        settings = host.look_up("preset", preset, CHOICES)
        managed = {name.removesuffix("_model"): each for name, each in wired.items()}
        off = {name: TermSettings(0) for name in ("gaze", "lpips") if name not in managed}
        models = {name: each.model for name, each in managed.items()}
        chain = build_terms(replace(settings, **off), eyes=eyes, **models)
        needed = {name for term in chain for name in vars(term)}
        used = (each for name, each in managed.items() if name in needed)
        return io.NodeOutput(Chain(tuple(chain), tuple(used)))


def sampling_of(settings: EditSettings) -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    numbers = {name: getattr(settings, name) for name in ("eta", "ramp_end", "clip_denoised")}
    own = ("start", "gradient", "strength", "guide_repeats", "guide_blur")
    plain = EditSettings()
    numbers |= {n: getattr(settings, n) for n in own if getattr(settings, n) != getattr(plain, n)}
    steps = f"{settings.sampler}, {settings.respacing} steps, skip {settings.skip}"
    shown = (f"{name} {value}" for name, value in numbers.items())
    return ", ".join([steps, *shown])
