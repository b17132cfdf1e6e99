"""What pulls the picture: terms, the views they look through, and their gradient."""
