"""TFLite files: writer, artifact, runner, probe and quantizer."""
