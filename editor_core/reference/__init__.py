"""The published DiffFace implementation, its bugs included, as a pipeline of its own.

It reproduces published results to the digit (arXiv 2212.13344). It uses the editor's networks and
its process; nothing of the editor knows it, but for the one door in `editing.edit_aligned`.
"""
