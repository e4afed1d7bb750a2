"""OpenVINO, which runs TFLite and ONNX files as well as their own runtimes do."""
