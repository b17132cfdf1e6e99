"""A drawn world with known answers: portraits, groups, and the models trained on them."""
