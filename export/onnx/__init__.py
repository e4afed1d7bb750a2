"""ONNX files: writer, artifact, runner, probe and quantizer."""
