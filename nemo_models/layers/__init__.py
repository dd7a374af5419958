"""Parts of the network and of its contract with NeMo."""
