"""Semantic segmentation with dilated convolutions for Keras and TensorFlow."""

__version__ = "0.1.0"
