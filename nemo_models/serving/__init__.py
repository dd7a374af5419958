"""The recogniser as a server: one engine that batches, behind OpenAI's REST API and live streams."""
