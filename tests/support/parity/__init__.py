"""Checks of the editor against the numbers of the golden data."""
