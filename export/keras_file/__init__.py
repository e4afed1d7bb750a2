"""Keras' own files, which are timed beside the artifacts."""
