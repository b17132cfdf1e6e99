"""Guided Face Edit: edit faces by guided diffusion, in ComfyUI or from the command line."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Called by ComfyUI, which shows no more of an error here than its last line."""
    import logging

    try:
        from .nodes import GuidedFaceEdit
    except Exception:
        logging.exception("Guided Face Edit cannot be loaded")
        raise
    return GuidedFaceEdit()
