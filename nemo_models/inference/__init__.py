"""A restored model made ready to compute: loading, device, number format."""
