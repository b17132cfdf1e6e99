"""The doors of the editor in ComfyUI: every stage a node."""

from types import ModuleType

from comfy_api.latest import ComfyExtension, io

from . import (
    analysis,
    blending,
    clip,
    finding,
    guidance,
    guided_sampler,
    host,
    identities,
    loaders,
    model_files,
    native,
    photos,
    report,
)


def nodes_in(module: ModuleType) -> list[type[io.ComfyNode]]:
    """The nodes that a module defines, in its order; their bases have no schema."""
    own = (each for each in vars(module).values() if isinstance(each, type))
    return [
        each
        for each in own
        if each.__module__ == module.__name__
        and issubclass(each, io.ComfyNode)
        and "define_schema" in vars(each)
    ]


MODULES = (
    loaders,
    clip,
    model_files,
    finding,
    photos,
    analysis,
    identities,
    guidance,
    guided_sampler,
    native,
    blending,
    report,
)
NODES = [node for module in MODULES for node in nodes_in(module)]

host.register_folders()


class GuidedFaceEdit(ComfyExtension):
    """The pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node, in the order of a graph."""
        return NODES
