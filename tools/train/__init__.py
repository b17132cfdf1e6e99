"""Makes the models of the drawn world anew, from drawn portraits alone."""
