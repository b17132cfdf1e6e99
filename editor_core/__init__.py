"""Gives the face in one picture the identity of another by guided diffusion, free of any host.

A room uses only the rooms before it:

files, images     pictures: layout, range, size, and writing them whole or not at all
checkpoints       from a file on disk to a named family of tensors
models            the networks, one a file
face              what is seen in a face, and where in a photo faces are
diffusion         the process and its samplers, knowing nothing of faces
guidance          what pulls the picture: terms, random views, the gradient
metrics           a series for each metric and step
settings          what an edit is told; checkpoints.loading makes its models from files
reference         the published implementation's exact behaviour, as objects to hand in
presets           named settings
editing           source, target and models to ranked edits
photos            whole photos: crops, one batch of edits, pasted back
demo              a drawn world with known answers, and the models trained on it
benchmark         what a step costs, beside the least that it could cost
commands          the command line
"""
