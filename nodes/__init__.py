"""The doors of the editor in ComfyUI: every stage a node."""

from comfy_api.latest import ComfyExtension, io

from . import (
    analysis,
    finding,
    guidance,
    guided_sampler,
    host,
    loaders,
    model_files,
    photos,
    report,
)

NODES: list[type[io.ComfyNode]] = [
    *loaders.NODES,
    *model_files.NODES,
    *finding.NODES,
    *photos.NODES,
    *analysis.NODES,
    *guidance.NODES,
    *guided_sampler.NODES,
    *report.NODES,
]

host.register_folders()


class GuidedFaceEdit(ComfyExtension):
    """The pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node, in the order of a graph."""
        return NODES
