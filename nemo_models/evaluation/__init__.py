"""Error rates of transcripts."""
