"""The networks, one a file: frozen configuration, module, and sizes read from the tensors."""
