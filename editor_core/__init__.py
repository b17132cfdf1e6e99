"""Gives the face in one picture the identity of another by guided diffusion, free of any host.

The editor's public functions, imported when they are first asked for. Each room imports only from
the rooms below it: `python -m tools.import_graph` draws them, docs/architecture.md describes them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .editing import edit_face
    from .loading.models import load_models
    from .photos import edit_photos
    from .presets import preset

__all__ = ["edit_face", "edit_photos", "load_models", "preset"]

HOMES = {
    "edit_face": ".editing",
    "edit_photos": ".photos",
    "load_models": ".loading.models",
    "preset": ".presets",
}


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
