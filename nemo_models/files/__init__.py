"""Reading and writing `.nemo` files, tensors and training checkpoints."""
