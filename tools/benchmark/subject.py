"""What is timed: models, a drawn pair, and one step in the middle of its edit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ...editor_core.autograd import gradients
from ...editor_core.demo.models import load_demo_models
from ...editor_core.demo.pairs import DrawnPairs, draw_pairs
from ...editor_core.denoising import identity_denoiser
from ...editor_core.diffusion.noise import PerImageNoise
from ...editor_core.diffusion.process import Denoiser, DiffusionModel, GaussianDiffusion
from ...editor_core.diffusion.sampling import batch_index
from ...editor_core.editing import build_terms
from ...editor_core.face.eyes import EyeBoxes
from ...editor_core.face.gaze import EyeGazeEstimator
from ...editor_core.face.identity import IdentityEncoder, embed_identity
from ...editor_core.face.parsing import FaceParser
from ...editor_core.guidance.batch import EditBatch
from ...editor_core.guidance.terms import BoundTerm, GuidanceTerm, bind_terms
from ...editor_core.images import to_signed
from ...editor_core.loading.models import FaceModels
from ...editor_core.loading.networks import channels_last, with_memory_format
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.lpips import Lpips
from ...editor_core.models.unet import UNet, UNetConfig
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings

Convert = Callable[[UNet], UNet]
NetworkT = TypeVar("NetworkT", bound=nn.Module)

PUBLISHED_UNET = UNetConfig(
    model_channels=256,
    channel_mult=(1, 1, 2, 2, 4, 4),
    num_res_blocks=2,
    attention_factors=(8, 16, 32),
    head_channels=64,
    identity_channels=512,
)
UNETS = {"256-128": replace(PUBLISHED_UNET, model_channels=128), "256-256": PUBLISHED_UNET}
CONFIGS = ("demo", *UNETS)
TIMED_AT = 0.55  # of the schedule: every term of the presets acts there, and the mask is growing


@dataclass(frozen=True)
class Subject:
    """One pair under one preset, `candidates` edits of it at once."""

    models: FaceModels
    settings: EditSettings
    candidates: int = 1

    @property
    def device(self) -> torch.device:
        return self.models.diffusion.device

    @cached_property
    def diffusion(self) -> GaussianDiffusion:
        return self.models.diffusion.diffusion.respaced(self.settings.respacing)

    @property
    def index(self) -> int:
        """The step that is timed."""
        return round(self.diffusion.num_timesteps * (1 - TIMED_AT))

    @cached_property
    def noise(self) -> PerImageNoise:
        return PerImageNoise(range(self.candidates))

    @cached_property
    def source(self) -> Tensor:  # (1,3,H,W)
        return to_signed(self._pair.source.image).to(self.device)

    @cached_property
    def batch(self) -> EditBatch:
        return EditBatch(
            target=to_signed(self._pair.target.image).to(self.device),
            mask=self._pair.mask[:, None].to(self.device),
            embedding=embed_identity(self.models.identity, self.source),
            generators=self.noise.generators,
            candidates=self.candidates,
        )

    @cached_property
    def target(self) -> Tensor:  # (candidates,3,H,W)
        return self.batch.repeated(self.batch.target)

    @property
    def denoiser(self) -> Denoiser:
        model = self.models.diffusion
        return identity_denoiser(model, self.batch, self.diffusion, self.settings)

    @cached_property
    def terms(self) -> Sequence[GuidanceTerm]:
        return build_terms(self.settings, eyes=self.eyes, **vars(self.models))

    @property
    def eyes(self) -> EyeBoxes:
        """As they were drawn: a parser of random weights finds none."""
        return self._pair.target.eye_boxes

    @cached_property
    def bound_terms(self) -> Sequence[BoundTerm]:
        """Bound to the target once, as an edit does it."""
        return bind_terms(self.terms, self.batch)

    @cached_property
    def x_t(self) -> Tensor:  # (candidates,3,H,W)
        """The target noised to the step."""
        index = batch_index(self.index, self.target)
        return self.diffusion.q_sample(self.target, index, self.noise.draw(self.target))

    def converted(self, convert: Convert | None, in_place: bool = False) -> Subject:
        """The same with its U-Net converted: another one, unless it may change in place."""
        if convert is None:
            return self
        with gradients():
            model = self.models.diffusion
            unet = cast(UNet, model.network)  # all configs are ADM's
            network = convert(unet if in_place else copy.deepcopy(unet))
            models = replace(self.models, diffusion=replace(model, network=network))
            return replace(self, models=models)

    @cached_property
    def _pair(self) -> DrawnPairs:
        return draw_pairs(1, 0, self.models.diffusion.image_size)


def load_subject(config: str) -> Subject:
    """The bundled models, or networks of random weights in the shapes of the published ones."""
    with gradients():
        models = load_demo_models() if config == "demo" else random_models(UNETS[config])
        for model in vars(models).values():
            getattr(model, "network", model).to("cuda" if torch.cuda.is_available() else "cpu")
        return Subject(models, preset("demo" if config == "demo" else "diffface"))


def random_models(unet: UNetConfig) -> FaceModels:
    """The networks of a published edit, laid out as the loaders do it."""
    from torchvision.models import vgg16

    network = with_memory_format(random_network(lambda: UNet(unet)))
    return FaceModels(
        DiffusionModel(network, GaussianDiffusion.linear(), 256),
        IdentityEncoder(channels_last(random_network(lambda: IResNet(IResNetConfig())))),
        FaceParser(channels_last(random_network(lambda: BiSeNet(BiSeNetConfig())))),
        EyeGazeEstimator(random_network(lambda: EyeNet(EyeNetConfig()))),
        random_network(lambda: Lpips("vgg", vgg16(weights=None).state_dict())),
    )


def random_network(make: Callable[[], NetworkT]) -> NetworkT:
    """A network with the same random weights every time, none of its tensors all zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make().eval().requires_grad_(False)
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    return network
