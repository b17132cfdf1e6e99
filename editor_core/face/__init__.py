"""Faces in photos, and in faces their parts, eyes, gaze and identity."""
