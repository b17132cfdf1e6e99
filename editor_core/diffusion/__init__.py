"""The diffusion process, its samplers and the blending; nothing here knows what a face is."""
