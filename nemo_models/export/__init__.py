"""The way out: Hugging Face folders and ONNX files, each run and compared before it appears."""
