"""The recogniser as a server: one engine that batches, and OpenAI's REST contract in front of it."""
