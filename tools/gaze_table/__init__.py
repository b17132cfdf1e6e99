"""Asks drawn people to look somewhere, and measures where they look."""
