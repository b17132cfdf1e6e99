"""Measures how faces are found in photographs: the line of their eyes, and the score threshold."""
