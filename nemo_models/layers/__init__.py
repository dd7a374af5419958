"""Parts of the network and its NeMo interface."""
