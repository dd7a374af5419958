"""Data preparation as the tests call it: settings by name, in one flat list."""

from pathlib import Path
from typing import Any

from data_prep.job_settings import read_settings
from data_prep.prepare import pipeline
from data_prep.prepare.settings import PrepareSettings


def prepare_corpus(corpus: str, corpus_dir: Path, output_dir: Path, **arguments: Any) -> dict[str, Any]:
    """Prepare a corpus with the arguments of `conf/prepare_data.yaml`."""
    arguments |= {"corpus": corpus, "corpus_dir": corpus_dir, "output_dir": output_dir}
    return pipeline.prepare_corpus(read_settings(PrepareSettings, arguments))
