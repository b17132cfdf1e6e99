"""From a file on disk to a named family of tensors, and on to the models of the editor."""
