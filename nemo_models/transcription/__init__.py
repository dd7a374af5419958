"""From recordings to transcripts: inputs, long audio, the journal that a killed job resumes from, output files."""
