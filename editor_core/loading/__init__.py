"""From tensors to models: families, published files, folders, inspection and conversion."""
