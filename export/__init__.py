"""Exports to SavedModel, TFLite and ONNX that are proven equal to their model."""
