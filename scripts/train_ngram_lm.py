"""Train the character n-gram language model of the beam search from plain text.

The text passes through the project's normaliser; lines with characters that the model cannot write are left out and
counted. The file that comes out carries what it was made for, and decoding refuses it with any other model.

    python scripts/train_ngram_lm.py text=a.txt model_path=model.nemo order=6 output=lm.nemo
"""

from pathlib import Path

from omegaconf import DictConfig

from job import job


@job("train_ngram_lm")
def main(cfg: DictConfig) -> None:
    from nemo.utils import logging

    from data_prep.alphabet import load_alphabet
    from nemo_models.nemo_file import read_labels
    from nemo_models.ngram_lm import describe_counts, train_ngram_lm

    logging.setLevel(logging.ERROR)
    texts = [Path(text) for text in ([cfg.text] if isinstance(cfg.text, str) else cfg.text)]
    labels = read_labels(Path(cfg.model_path)) if cfg.model_path else load_alphabet(cfg.alphabet)
    report = train_ngram_lm(texts, labels, Path(cfg.output), cfg.order, list(cfg.prune), cfg.memory, cfg.numbers)
    print(f"text: {describe_counts(report.counts)}")
    print("n-grams: " + ", ".join(f"{order}: {count}" for order, count in report.ngrams.items()))
    print(f"{report.output}: order {cfg.order}, {report.size_bytes / 1e6:.1f} MB, {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
