"""Losses, metrics and the loop that trains a model."""
