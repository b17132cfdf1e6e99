"""From the bytes of a file to named tensors, and back; what the tensors mean, `loading` knows."""
