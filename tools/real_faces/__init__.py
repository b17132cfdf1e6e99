"""Measures edits of real faces, of which nobody knows the right answer."""
