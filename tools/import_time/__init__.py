"""What the pack adds to the start of ComfyUI."""
