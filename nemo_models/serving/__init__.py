"""The recogniser as a server: one engine that batches, OpenAI's REST contract and live streams in front of it."""
