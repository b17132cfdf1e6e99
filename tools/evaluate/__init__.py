"""Measures edits of the drawn world, whose right answers are known."""
