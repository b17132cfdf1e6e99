"""Proves that a change of the code changes no number."""
