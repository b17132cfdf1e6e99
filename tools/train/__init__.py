"""Trains the models of the drawn world, from drawn portraits alone."""
