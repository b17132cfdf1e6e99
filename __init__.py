"""Guided Face Edit: edit faces by guided diffusion, in ComfyUI, from Python or a command line."""

from typing import TYPE_CHECKING, Any

from . import editor_core

if TYPE_CHECKING:
    from .editor_core import edit_face, edit_photos, load_models, preset

__all__ = ["edit_face", "edit_photos", "load_models", "preset"]

WEB_DIRECTORY = "./web"


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(editor_core, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


async def comfy_entrypoint():
    """Called by ComfyUI, which shows no more of an error here than its last line."""
    import logging

    try:
        from .nodes import GuidedFaceEdit
    except Exception:
        logging.exception("Guided Face Edit cannot be loaded")
        raise
    return GuidedFaceEdit()
