"""What only ComfyUI knows: its folders, its memory management, its progress bar."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import comfy.model_management as memory
import comfy.utils
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..editor_core.autograd import gradients
from ..editor_core.demo.models import WEIGHTS
from ..editor_core.diffusion.sampling import Step
from ..editor_core.face.aligning import crop_faces
from ..editor_core.face.records import Faces
from ..editor_core.face.yunet import PUBLISHED
from ..editor_core.images import to_picture, to_signed, to_unit
from ..editor_core.loading.folders import EXTENSIONS
from ..editor_core.loading.known_files import FOLDERS, MODELS_FOLDER

Choice = TypeVar("Choice")
Model = TypeVar("Model")

EMBEDDINGS = f"{MODELS_FOLDER}_embeddings"
DETECTORS = f"{MODELS_FOLDER}_detection"
PREVIEW_SIDE = 512  # pixels, at most
STEP_BYTES = 80_000  # a pixel of a guided step: an estimate, so that ComfyUI makes room


def look_up(name: str, choice: str, options: Mapping[str, Choice]) -> Choice:
    """What the value of a combo stands for; old versions of ComfyUI do not check it."""
    if choice not in options:
        raise ValueError(f'{name} is "{choice}", expected one of: {", ".join(options)}')
    return options[choice]


# Folders


def register_folders() -> None:
    """Tell ComfyUI where the models lie: its own folder, then the demo's weights."""
    for kind, folder in FOLDERS.items():
        _register(category(kind), Path(folder_paths.models_dir, MODELS_FOLDER, folder))
        if (WEIGHTS / kind).is_dir():
            _register(category(kind), WEIGHTS / kind)
    _register(EMBEDDINGS, Path(folder_paths.models_dir, MODELS_FOLDER, "embeddings"))
    _register(EMBEDDINGS, Path(folder_paths.get_output_directory(), "embeddings"))
    _register(DETECTORS, Path(folder_paths.models_dir, MODELS_FOLDER, "detection"), {".onnx"})


def _register(name: str, path: Path, extensions: Iterable[str] = EXTENSIONS) -> None:
    with suppress(OSError):  # a models folder may be read-only
        path.mkdir(parents=True, exist_ok=True)
    folder_paths.add_model_folder_path(name, str(path))
    folder_paths.folder_names_and_paths[name][1].update(extensions)


def category(kind: str) -> str:
    """The name of a kind's folders in `extra_model_paths.yaml`."""
    return f"{MODELS_FOLDER}_{FOLDERS[kind]}"


def new_model_path(kind: str, name: str | os.PathLike[str]) -> Path:
    """Where a new model of that name goes: inside ComfyUI's folder of its kind, nowhere else."""
    root = Path(folder_paths.models_dir, MODELS_FOLDER, FOLDERS[kind]).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f'"{name}" leads out of {root}: give a name inside it')
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def validate_name(find: Callable[[str], object], name: str | None) -> bool | str:
    """A node's answer before anything runs: True, or where the file was looked for.

    A name that is wired comes later, and is None before.
    """
    try:
        return name is None or bool(find(name))
    except (FileNotFoundError, ValueError) as error:
        return str(error)


def find_file(folders: str, name: str, missing: str) -> str:
    """Where a file of that name lies; `FileNotFoundError` says what is missing."""
    path = folder_paths.get_full_path(folders, name)
    if path is None:
        raise FileNotFoundError(missing)
    return path


def embedding_path(name: str) -> str:
    """Where a saved embedding of that name lies."""
    folders = f"output/embeddings or models/{MODELS_FOLDER}/embeddings"
    advice = "save it again with Save Identity Embedding"
    return find_file(EMBEDDINGS, name, f"no embedding {name} in {folders}: {advice}")


def detector_path(name: str) -> str:
    """Where a detector of that name lies."""
    folder = f"models/{MODELS_FOLDER}/detection"
    return find_file(DETECTORS, name, f"no detector {name} in {folder}: put {PUBLISHED} there")


def output_path(prefix: str, extension: str) -> Path:
    """The next free file in ComfyUI's output folder whose name begins so."""
    if not Path(prefix).name.strip() or prefix.endswith("/"):
        raise ValueError(f'filename_prefix is "{prefix}": give the beginning of a file name')
    folder, name, counter, *_ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory()
    )
    return Path(folder, f"{name}_{counter:05}_.{extension}")


def input_folder(name: str) -> Path:
    """A folder inside ComfyUI's input folder, and nowhere else."""
    root = Path(folder_paths.get_input_directory()).resolve()
    folder = (root / name).resolve()
    if not folder.is_relative_to(root) or not folder.is_dir():
        raise ValueError(f'"{name}" is no folder in {root}: put the pictures there')
    return folder


def fingerprint(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """What changes when a file does, or the notes on it beside it."""
    files = [Path(path), Path(f"{path}.json")]
    about = [(file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()]
    return str(path), *about


# Memory


@dataclass(frozen=True)
class ManagedModel(Generic[Model]):
    """A model of the editor whose network ComfyUI moves between its devices."""

    model: Model
    patcher: ModelPatcher

    @classmethod
    def of(cls, model: Model, network: nn.Module) -> ManagedModel[Model]:
        """Hand a network to ComfyUI's memory management."""
        device, offload = memory.get_torch_device(), memory.unet_offload_device()
        return cls(model, ModelPatcher(network, load_device=device, offload_device=offload))


def plain_patcher(patcher: Any) -> Any:
    """A patcher whose network holds its weights as usual, which a gradient needs.

    ComfyUI's dynamic patchers bring weights in while a layer runs; each knows a plain one of its
    own network.
    """
    plain = getattr(patcher, "get_non_dynamic_delegate", None)
    return plain() if plain else patcher


@contextmanager
def on_device(*models: ManagedModel | None, pixels: int = 0) -> Iterator[None]:
    """Bring the models that there are to the device, with room for a guided step of `pixels`.

    Inside, gradients work: ComfyUI runs nodes in inference mode, where nothing loaded or computed
    could be differentiated.
    """
    patchers = [each.patcher for each in models if each]
    with gradients():
        if patchers:
            memory.load_models_gpu(
                patchers, memory_required=pixels * STEP_BYTES, force_full_load=True
            )
        yield


@contextmanager
def lent_parameters(*networks: nn.Module) -> Iterator[None]:
    """Normal tensors on the same memory in place of networks' own, while they are differentiated.

    ComfyUI loads its models in inference mode, and what was made there cannot be saved for a
    backward pass. Old versions also ask for gradients of every weight.
    """
    own: list[tuple[Any, str, Tensor]] = [
        (held, name, tensor)
        for network in networks
        for module in network.modules()
        for held in (module._parameters, module._buffers)
        for name, tensor in held.items()
        if tensor is not None and (tensor.is_inference() or tensor.requires_grad)
    ]
    try:
        for held, name, tensor in own:
            held[name] = _on_same_memory(tensor)
        yield
    finally:
        for held, name, tensor in own:
            held[name] = tensor


@contextmanager
def differentiable_model() -> Iterator[None]:
    """Where a pass through ComfyUI's models has a backward pass, taken inside as well.

    Its switch of training has operations that can be differentiated in place of faster ones, and
    what a model overwrites is kept for them. Old versions have no such switch.
    """
    host: Any = memory
    before = getattr(host, "in_training", False)
    try:
        host.in_training = True
        with torch.autograd.graph.allow_mutation_on_saved_tensors():
            yield
    finally:
        host.in_training = before


def _on_same_memory(tensor: Tensor) -> Any:
    with torch.inference_mode(False):
        normal = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        place = tensor.storage_offset(), tensor.size(), tensor.stride()
        return normal.set_(tensor.untyped_storage(), *place)


def to_device(image: Tensor, name: str = "image") -> Tensor:  # (B,H,W,3) -> (B,3,H,W) in [-1,1]
    """Pictures on the device, as the editor takes them; there may be none, where no face was."""
    return to_signed(image.float(), name, least=0).to(memory.get_torch_device())


def to_cpu(x: Tensor | None) -> Tensor | None:
    """Pictures or masks that may be missing, in float32 on the CPU."""
    return None if x is None else x.float().cpu()


def faces_to_device(image: Tensor, faces: Faces | None) -> Tensor:  # -> (B,3,H,W) in [-1,1]
    """Pictures on the device or, of photos with aligned faces, the faces' crops."""
    if faces is None:
        return to_device(image)
    return crop_faces(image.float().cpu(), faces).image.to(memory.get_torch_device())


def to_intermediate(result: Tensor) -> Tensor:
    """A result where ComfyUI keeps what goes from node to node."""
    return result.detach().to(memory.intermediate_device())


# Progress


class Progress:
    """A step callback: moves the node's bar, shows pred_x0, and stops where the user cancels."""

    def __init__(self) -> None:
        self.bar = comfy.utils.ProgressBar(1)

    def __call__(self, step: Step) -> None:
        memory.throw_exception_if_processing_interrupted()
        shown = to_picture(to_unit(step.pred_x0[:1].float())[0])  # the first of the batch
        self.bar.update_absolute(step.index + 1, step.total, ("JPEG", shown, PREVIEW_SIDE))
