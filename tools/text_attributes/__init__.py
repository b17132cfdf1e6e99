"""Measures attributes by text in the drawn world, whose beards and hair colours are known."""
