"""What is seen in a face: its parts, its eyes and their gaze, its identity."""
