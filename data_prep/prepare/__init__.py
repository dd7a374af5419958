"""Jobs over whole corpora and manifests."""
