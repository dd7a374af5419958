"""Export to Hugging Face folders and ONNX files, each run and compared with the model before it appears."""
