"""Face editing by guided diffusion, in PyTorch and free of any host.

Imports point one way, from the last room to the first:
files, autograd and images; models; checkpoints; face; diffusion; guidance; metrics; presets;
editing; reference; demo; the command line.
"""
