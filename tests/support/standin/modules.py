"""The host's modules, made of nothing but what the pack imports from them.

torch is imported where it is used: the process that hands the tests out installs them too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import io
from .sampling import ModelPatcher, sampling_modules

if TYPE_CHECKING:
    import torch


class ComfyExtension:
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError


class PreviewText:
    def __init__(self, value: str) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


class SavedResult(dict):
    def __init__(self, filename: str, subfolder: str, type: io.FolderType) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)


class SavedImages:
    def __init__(self, results: list[SavedResult]) -> None:
        self.results = results

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.results}


class Interrupted(Exception):  # noqa: N818  as the host names it
    """The host's InterruptProcessingException."""


class ProgressBar:
    """Remembers its updates, for the tests."""

    updates: list[tuple[int, int, Any]] = []  # noqa: RUF012  read by tests, cleared by them

    def __init__(self, total: int) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        self.total = total or self.total
        self.updates.append((value, self.total, preview))


class Folders(ModuleType):
    """`folder_paths`, all of it under one root."""

    def __init__(self, root: Path) -> None:
        super().__init__("folder_paths")
        self.root = root
        self.models_dir = str(root / "models")
        self.folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}

    def add_model_folder_path(self, name: str, path: str, is_default: bool = False) -> None:
        paths, _ = self.folder_names_and_paths.setdefault(name, ([], set()))
        if path not in paths:
            paths.insert(0 if is_default else len(paths), path)

    def get_filename_list(self, name: str) -> list[str]:
        paths, extensions = self.folder_names_and_paths[name]
        files = {
            file.relative_to(path).as_posix()
            for path in paths
            for file in Path(path).rglob("*")
            if file.suffix in extensions
        }
        return sorted(files)

    def get_full_path(self, name: str, filename: str) -> str | None:
        paths, _ = self.folder_names_and_paths[name]
        found = (Path(path, filename) for path in paths)
        return next((str(file) for file in found if file.is_file()), None)

    def get_full_path_or_raise(self, name: str, filename: str) -> str:
        path = self.get_full_path(name, filename)
        if path is None:
            raise FileNotFoundError(f"there is no {filename} in the folders of {name}")
        return path

    def get_output_directory(self) -> str:
        return self._made("output")

    def get_input_directory(self) -> str:
        return self._made("input")

    def get_save_image_path(self, prefix: str, folder: str) -> tuple[str, str, int, str, str]:
        full = Path(folder, prefix)
        full.parent.mkdir(parents=True, exist_ok=True)
        taken = [int(file.stem.split("_")[-2]) for file in full.parent.glob(f"{full.name}_*_.*")]
        number = max(taken, default=0) + 1
        return str(full.parent), full.name, number, str(Path(prefix).parent), prefix

    def _made(self, name: str) -> str:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)


def memory() -> ModuleType:
    """`comfy.model_management` on the CPU; set `interrupted` to stop the next step."""
    module = ModuleType("comfy.model_management")

    def on_the_cpu() -> torch.device:
        import torch

        return torch.device("cpu")

    for name in ("get_torch_device", "unet_offload_device", "intermediate_device"):
        setattr(module, name, on_the_cpu)

    def load_models_gpu(
        models: list[ModelPatcher], memory_required: int = 0, force_full_load: bool = False
    ) -> None:
        import torch

        if torch.is_inference_mode_enabled():
            raise RuntimeError("models moved in inference mode cannot be differentiated")

    def throw_exception_if_processing_interrupted() -> None:
        if module.interrupted:
            module.interrupted = False
            raise Interrupted

    module.interrupted = False
    module.should_use_bf16 = lambda device: False
    module.load_models_gpu = load_models_gpu
    module.throw_exception_if_processing_interrupted = throw_exception_if_processing_interrupted
    module.InterruptProcessingException = Interrupted
    return module


def install(root: Path) -> None:
    """Put the modules where `import` finds them, with `root` as the host's base folder."""
    modules = {name: ModuleType(name) for name in NAMES}
    modules["folder_paths"] = Folders(root)
    modules["comfy.model_management"] = memory()
    for name, members in sampling_modules().items():
        for each in members:
            setattr(modules[name], each.__name__, each)
    modules["comfy.utils"].ProgressBar = ProgressBar
    modules["comfy_api.latest"].ComfyExtension = ComfyExtension
    modules["comfy_api.latest"].io = io
    modules["comfy_api.latest"].ui = ModuleType("comfy_api.latest.ui")
    for shown in (PreviewText, SavedImages, SavedResult):
        setattr(modules["comfy_api.latest"].ui, shown.__name__, shown)
    for name, module in modules.items():
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)


NAMES = (
    "comfy",
    "comfy.conds",
    "comfy.latent_formats",
    "comfy.model_base",
    "comfy.model_management",
    "comfy.model_patcher",
    "comfy.patcher_extension",
    "comfy.samplers",
    "comfy.sd",
    "comfy.supported_models_base",
    "comfy.utils",
    "comfy_api",
    "comfy_api.latest",
    "folder_paths",
)
