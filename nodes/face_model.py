"""A face diffusion model as one of ComfyUI's own: its schedule, its conditioning, its pixels."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any, ClassVar

import torch
from comfy.conds import CONDRegular
from comfy.latent_formats import ChromaRadiance
from comfy.model_base import BaseModel, ModelType
from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy.supported_models_base import BASE
from torch import Tensor, nn

from ..editor_core.autograd import gradients
from ..editor_core.diffusion.process import DiffusionModel
from .host import ManagedModel

EMBEDDING = "face_embedding"
KINDS = {"epsilon": ModelType.EPS, "v": ModelType.V_PREDICTION}


def face_model(model: DiffusionModel, clip: bool) -> ModelPatcher:
    """The model for ComfyUI's samplers; with `clip` its x_0 is held in [-1, 1]."""
    with gradients():
        host_model = FaceModel(model, clip)
    return ManagedModel.of(model, host_model).patcher


def pixel_vae() -> VAE:
    """ComfyUI's VAE that hands pixels through."""
    return VAE(sd={"pixel_space_vae": torch.tensor(1.0)})


def conditioning(embedding: Tensor) -> list[list[Any]]:  # (n,E)
    """The conditioning of samplers that tells a `FaceModel` whose face it draws."""
    return [[torch.zeros(1, 1, 1), {EMBEDDING: embedding}]]


class FaceConfig(BASE):
    """What ComfyUI asks of a model's family."""

    unet_config: ClassVar = {"disable_unet_model_creation": True}
    latent_format = ChromaRadiance  # three channels, in pixels
    sampling_settings: ClassVar = {}
    memory_usage_factor = 2.0


class FaceModel(BaseModel):
    """ComfyUI's model around ours: sigmas of its own schedule, identities as conditioning."""

    def __init__(self, model: DiffusionModel, clip: bool) -> None:
        config = FaceConfig(dict(FaceConfig.unet_config))
        config.custom_operations = None
        super().__init__(config, KINDS[model.predicts])
        self.diffusion_model, self.clip = FaceNetwork(model), clip
        kept = model.diffusion.alphas_cumprod
        self.model_sampling.set_sigmas(((1 - kept) / kept).sqrt())

    def _apply_model(self, *args: Any, **options: Any) -> Tensor:
        x_0 = super()._apply_model(*args, **options)
        return x_0.clamp(-1, 1) if self.clip else x_0

    def extra_conds(self, **given: Any) -> dict[str, Any]:
        conds = super().extra_conds(**given)
        embedding = given.get(EMBEDDING)
        if embedding is not None and self.diffusion_model.takes_identity:
            conds["identity"] = CONDRegular(embedding)
        return conds


class FaceNetwork(nn.Module):
    """The U-Net as ComfyUI calls it: noise alone comes out, timesteps are indices."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.network = on_shared_memory(model.network)
        self.time_scale = model.diffusion.time_span / model.diffusion.original_steps
        self.takes_identity = model.network.config.identity_channels is not None

    @property
    def dtype(self) -> torch.dtype:
        """Of its parameters."""
        return next(self.network.parameters()).dtype

    def forward(
        self, x: Tensor, timesteps: Tensor, identity: Tensor | None = None, **_: Any
    ) -> Tensor:
        return self.network(x, timesteps.float() * self.time_scale, identity=identity)[:, :3]


def on_shared_memory(network: nn.Module) -> nn.Module:
    """A copy whose parameters lie in the same memory until one of the two is moved.

    Two of ComfyUI's patchers hold the network then, and each may move its own.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    shared = {id(each): _alias(each) for _, each in tensors}
    return copy.deepcopy(network, shared)


def _alias(tensor: Tensor) -> Tensor:
    alias = tensor.detach()
    return nn.Parameter(alias, requires_grad=False) if isinstance(tensor, nn.Parameter) else alias
