"""Model files as sockets: loaded once, held by ComfyUI's memory, read again if changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import comfy.model_management as memory
import torch
from comfy_api.latest import io
from torch import nn

from ..editor_core.autograd import gradients
from ..editor_core.face.head import IrisGazeEstimator
from ..editor_core.loading import models
from ..editor_core.loading.known_files import describe_origin
from . import host, sockets
from .host import ManagedModel
from .schemas import file_input, node_schema, output, required, widget

schema = partial(node_schema, category="face editing/loaders")

_in_use: WeakValueDictionary[tuple[Any, ...], ManagedModel[Any]] = WeakValueDictionary()
"""By file, precision and whether it is compiled: two nodes that name one file share one model."""


def load_shared(
    path: str,
    read: Callable[[str], Any],
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
) -> ManagedModel[Any]:
    """The model of a file, which is read only if nobody holds it yet."""
    key = (*host.fingerprint(path), dtype, compiled)
    managed = _in_use.get(key)
    if managed is None:
        with gradients():
            model = read(path)
            network: nn.Module = getattr(model, "network", model)
            if compiled:
                network.compile()
            managed = _in_use[key] = ManagedModel.of(model, network.to(dtype))
    return managed


def model_path(kind: str, model_name: str) -> str:
    """Where a model of that name lies."""
    folder, about = f"models/face_edit/{host.FOLDERS[kind]}", describe_origin(model_name)
    missing = f"no {kind} model {model_name} in {folder}: put it there; {about}"
    return host.find_file(host.category(kind), model_name, missing)


class LoaderNode(io.ComfyNode):
    """A node that loads a file of one kind of model."""

    kind: ClassVar[str]
    read: ClassVar[Callable[[str], Any]]

    @classmethod
    def file_input(cls) -> io.Input:
        """The input that names the file."""
        about = (
            f"A file in models/face_edit/{host.FOLDERS[cls.kind]}; demo.safetensors comes with the "
            "pack. Nothing in a file is ever executed."
        )
        return file_input("model_name", host.category(cls.kind), about)

    @classmethod
    def validate_inputs(cls, model_name: str | None = None) -> bool | str:
        return host.validate_name(partial(model_path, cls.kind), model_name)

    @classmethod
    def fingerprint_inputs(cls, model_name: str, **others: Any) -> Any:
        return host.fingerprint(model_path(cls.kind, model_name))

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        return io.NodeOutput(load_shared(model_path(cls.kind, model_name), cls.read))


class LoadFaceDiffusionModel(LoaderNode):
    kind = "diffusion"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadFaceDiffusionModel",
            "The U-Net that draws the edit: ADM, conditioned on identity or not, or an "
            "unconditional one of diffusers.",
            search_aliases=["diffface", "guided diffusion", "adm", "ddpm", "face swap model"],
            inputs=[
                cls.file_input(),
                widget(
                    "precision",
                    "auto",
                    "Of the U-Net. Half precision takes half the memory; fp16 may lose faint "
                    "gradients, bf16 does not. auto: bf16 where the device is good at it.",
                    choices=["auto", *models.PRECISIONS],
                ),
                widget(
                    "compile",
                    False,
                    "Compile the U-Net with torch.compile: the first step takes minutes, the "
                    "others may be faster, mostly on a GPU. Needs a C++ compiler, or Triton.",
                    advanced=True,
                    optional=True,
                ),
            ],
            outputs=[
                output(
                    sockets.DiffusionModel,
                    "model",
                    "The U-Net, its noise schedule and picture size.",
                )
            ],
        )

    @classmethod
    def execute(cls, model_name: str, precision: str, compile: bool = False) -> io.NodeOutput:
        path = model_path(cls.kind, model_name)
        managed = load_shared(path, models.load_diffusion, dtype_of(precision), compile)
        if managed.model.network.config.num_classes:
            raise ValueError(
                f"{model_name} draws the classes of ImageNet, expected a U-Net of faces: choose "
                "another file"
            )
        return io.NodeOutput(managed)


def dtype_of(precision: str) -> torch.dtype:
    """What a precision means on this machine."""
    if precision == "auto":
        half = memory.should_use_bf16(memory.get_torch_device())
        return torch.bfloat16 if half else torch.float32
    return host.look_up("precision", precision, models.PRECISIONS)


class LoadIdentityModel(LoaderNode):
    kind = "identity"
    read = staticmethod(models.load_identity)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadIdentityModel",
            "The network that tells whose face it is: ArcFace of DiffFace, SimSwap or "
            "insightface, MobileFaceNet, SFace, IR-SE50, AdaFace, or FaceNet. ONNX files of "
            "insightface, AuraFace and OpenCV are read too, with gradients.",
            search_aliases=[
                "arcface",
                "insightface",
                "auraface",
                "antelopev2",
                "buffalo_l",
                "sface",
                "onnx",
                "adaface",
                "cvlface",
                "facenet",
                "face embedding model",
            ],
            inputs=[cls.file_input()],
            outputs=[output(sockets.IdentityModel, "identity_model", "Use one in a whole graph.")],
        )


class LoadFaceParser(LoaderNode):
    kind = "parser"
    read = staticmethod(models.load_parser)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadFaceParser",
            "The network that names the parts of a face, CelebAMask-HQ's: BiSeNet, ParseNet or "
            "SegFormer.",
            search_aliases=["bisenet", "parsenet", "segformer", "face segmentation model"],
            inputs=[cls.file_input()],
            outputs=[output(sockets.ParserModel, "parser", "For parsing, masks and guidance.")],
        )


class LoadGazeModel(LoaderNode):
    kind = "gaze"
    read = staticmethod(models.load_gaze)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadGazeModel",
            "The network that reads where eyes look: EyeNet sees each eye, L2CS-Net and "
            "MobileGaze the whole face.",
            search_aliases=["eyenet", "l2cs", "mobilegaze", "gaze estimator"],
            inputs=[cls.file_input()],
            outputs=[output(sockets.GazeModel, "gaze_model", "For gazes and guidance.")],
        )


class LoadFaceLandmarker(LoaderNode):
    kind = "landmarks"
    read = staticmethod(models.load_landmarks)

    @classmethod
    def define_schema(cls) -> io.Schema:
        about = (
            "A file in models/face_edit/landmarks: mediapipe_face_fp32.safetensors, or "
            "face_landmark_with_attention.tflite. Nothing in a file is ever executed."
        )
        return schema(
            "LoadFaceLandmarker",
            "The network that finds 478 landmarks of a face, irises among them: a mesh of "
            "MediaPipe's.",
            search_aliases=["mediapipe", "face mesh", "iris", "blendshapes", "landmarks"],
            inputs=[file_input("model_name", host.category(cls.kind), about)],
            outputs=[
                output(sockets.Landmarker, "landmarker", "For landmarks, gaze and expressions.")
            ],
        )


class IrisGazeModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "IrisGazeModel",
            "Reads where eyes look by their irises, with a face landmarker: no gaze model is "
            "needed.",
            search_aliases=["mediapipe gaze", "iris", "gaze estimator"],
            inputs=[required(sockets.Landmarker, "landmarker", "From Load Face Landmarker.")],
            outputs=[output(sockets.GazeModel, "gaze_model", "For gazes and guidance.")],
        )

    @classmethod
    def execute(cls, landmarker: ManagedModel) -> io.NodeOutput:
        return io.NodeOutput(replace(landmarker, model=IrisGazeEstimator(landmarker.model)))


class LoadLpipsModel(LoaderNode):
    kind = "lpips"
    read = staticmethod(models.load_lpips)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadLpipsModel",
            "The backbone of the perceptual distance LPIPS: VGG-16, AlexNet or SqueezeNet as "
            "torchvision publishes them.",
            display_name="Load LPIPS Model",
            search_aliases=["perceptual loss", "vgg"],
            inputs=[cls.file_input()],
            outputs=[output(sockets.LpipsModel, "lpips_model", "The backbone and its heads.")],
        )


class LoadClipModel(LoaderNode):
    kind = "clip"
    read = staticmethod(models.load_clip)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadClipModel",
            "The two networks that put pictures and texts side by side: CLIP, in a folder as the "
            "transformers library publishes it.",
            display_name="Load CLIP Model",
            search_aliases=["openai clip", "text image similarity"],
            inputs=[
                file_input(
                    "model_name",
                    host.category(cls.kind),
                    "The weights in a folder of models/face_edit/clip, which has config.json and "
                    "the tokenizer beside them. Nothing in a file is ever executed.",
                )
            ],
            outputs=[output(sockets.ClipModel, "clip_model", "For Text Guidance.")],
        )
