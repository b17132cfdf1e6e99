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
from ...editor_core.diffusion.noise import PerImageNoise
from ...editor_core.diffusion.process import DiffusionModel, GaussianDiffusion
from ...editor_core.editing import guidance_of
from ...editor_core.face.eyes import EyeBoxes
from ...editor_core.face.gaze import EyeGazeEstimator
from ...editor_core.face.identity import IdentityEncoder, embed_identity
from ...editor_core.face.parsing import FaceParser
from ...editor_core.guidance.chain import Guidance, Scene
from ...editor_core.guidance.terms import GuidanceTerm
from ...editor_core.images import to_signed
from ...editor_core.loading.models import FaceModels, channels_last, laid_out
from ...editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from ...editor_core.models.eyenet import EyeNet, EyeNetConfig
from ...editor_core.models.iresnet import IResNet, IResNetConfig
from ...editor_core.models.lpips import Lpips
from ...editor_core.models.unet import UNet, UNetConfig
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings

Network = TypeVar("Network", bound=nn.Module)

PUBLISHED = UNetConfig(
    model_channels=256,
    channel_mult=(1, 1, 2, 2, 4, 4),
    num_res_blocks=2,
    attention_factors=(8, 16, 32),
    head_channels=64,
    identity_channels=512,
)
UNETS = {"256-128": replace(PUBLISHED, model_channels=128), "256-256": PUBLISHED}
CONFIGS = ("demo", *UNETS)
SIZE = 256
LATENESS = 0.55  # of the schedule: every term of the presets pulls there, and the mask is growing


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
        return round(self.diffusion.num_timesteps * (1 - LATENESS))

    @cached_property
    def noise(self) -> PerImageNoise:
        return PerImageNoise(range(self.candidates))

    @cached_property
    def source(self) -> Tensor:  # (1,3,H,W)
        return to_signed(self._pair.source.image).to(self.device)

    @cached_property
    def scene(self) -> Scene:
        return Scene(
            target=to_signed(self._pair.target.image).to(self.device),
            mask=self._pair.mask[:, None].to(self.device),
            embedding=embed_identity(self.models.identity, self.source),
            generators=self.noise.generators,
            candidates=self.candidates,
        )

    @cached_property
    def guidance(self) -> Sequence[Guidance]:
        """What the preset pulls with."""
        models = self.models
        return list(
            guidance_of(
                self.settings,
                models.identity,
                models.parser,
                models.gaze,
                models.lpips,
                lambda: self.eyes,
            )
        )

    @property
    def eyes(self) -> EyeBoxes:
        """As they were drawn: a parser of random weights sees none."""
        return self._pair.target.eye_boxes

    @cached_property
    def terms(self) -> Sequence[GuidanceTerm]:
        """Bound to the target once, as an edit does it."""
        return [each.bind(self.scene) for each in self.guidance]

    @cached_property
    def x_t(self) -> Tensor:  # (candidates,3,H,W)
        """The target noised to the step."""
        target = self.scene.repeated(self.scene.target)
        level = torch.full((len(target),), self.index, device=self.device)
        return self.diffusion.q_sample(target, level, self.noise.draw(target))

    @property
    def unet(self) -> UNet:
        return cast(UNet, self.models.diffusion.network)  # all configs are ADM's

    def on(self, form: Callable[[UNet], UNet]) -> Subject:
        """The same with its U-Net in another form; the U-Net itself is copied, and left alone."""
        with gradients():
            return self.using(form(copy.deepcopy(self.unet)))

    def using(self, network: UNet) -> Subject:
        """The same with another U-Net."""
        diffusion = replace(self.models.diffusion, network=network)
        return replace(self, models=replace(self.models, diffusion=diffusion))

    @cached_property
    def _pair(self) -> DrawnPairs:
        return draw_pairs(1, 0, self.models.diffusion.image_size)


def subject(config: str) -> Subject:
    """The bundled models, or networks of random weights in the shapes of the published ones."""
    if config not in CONFIGS:
        raise ValueError(f'config is "{config}", expected one of: {", ".join(CONFIGS)}')
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with gradients():
        if config == "demo":
            return Subject(moved(load_demo_models(), device), preset("demo"))
        return Subject(moved(random_models(UNETS[config]), device), preset("diffface"))


def random_models(unet: UNetConfig) -> FaceModels:
    """The networks of a published edit, laid out as the loaders do it."""
    from torchvision.models import vgg16

    return FaceModels(
        DiffusionModel(
            laid_out(random_network(lambda: UNet(unet))), GaussianDiffusion.linear(), SIZE
        ),
        IdentityEncoder(channels_last(random_network(lambda: IResNet(IResNetConfig())))),
        FaceParser(channels_last(random_network(lambda: BiSeNet(BiSeNetConfig())))),
        EyeGazeEstimator(random_network(lambda: EyeNet(EyeNetConfig()))),
        random_network(lambda: Lpips("vgg", vgg16(weights=None).state_dict())),
    )


def random_network(make: Callable[[], Network]) -> Network:
    """A network with the same random weights every time, none of its tensors all zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make().eval().requires_grad_(False)
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    return network


def moved(models: FaceModels, device: str) -> FaceModels:
    """The models with their networks on a device."""
    for model in vars(models).values():
        getattr(model, "network", model).to(device)
    return models
