"""Draws the rooms of the editor and what each imports, from the code."""
