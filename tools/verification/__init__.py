"""How well identity encoders tell people apart, by what they are shown."""
