"""The help pages of the nodes, which ComfyUI and the documentation show."""
