"""Measures the code itself: lines, functions, crumbs and names that are defined twice."""
