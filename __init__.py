"""Guided Face Edit: edit faces by guided diffusion, in ComfyUI or from the command line."""
