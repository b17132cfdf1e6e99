"""A small ComfyUI for the tests: the modules that nodes import, and a runner of API graphs.

Where the real host is strict it is strict too. `test_standin.py` holds it against the real modules
whenever those are present.
"""
