"""Train the n-gram language model of the beam search from plain text.

The text is normalised. Lines with characters that the model cannot write are left out and counted; repeated lines
count once. kind=token is for strategy beam_batch: a model of the acoustic model's labels, which decoding refuses with
another acoustic model. kind=word is for strategy pyctcdecode: an ARPA file. The report is <output>.json.

    python scripts/train_ngram_lm.py text=a.txt model_path=model.nemo order=6 output=lm.nemo
"""

from dataclasses import dataclass
from pathlib import Path

from hydra_job import hydra_job


@dataclass(frozen=True)
class LanguageModelSettings:
    """The arguments; the comments in `conf/train_ngram_lm.yaml` explain them."""

    text: list[Path]
    in_domain: list[Path]
    kind: str
    model_path: Path | None
    language: str | None
    alphabet: Path | None
    output: Path
    order: int
    held_out: float | Path | None
    check_against: list[Path]
    leaks: str
    numbers: str
    annotations: str
    abbreviations: str
    deduplicate: bool
    prune: list[int]
    memory: str
    num_workers: int | None


@hydra_job("train_ngram_lm", LanguageModelSettings)
def main(settings: LanguageModelSettings) -> None:
    from nemo.utils import logging

    from data_prep.languages.language import load_language
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.files.model_language import choose_language, read_letters
    from nemo_models.files.nemo_file import read_labels, read_nemo_config
    from nemo_models.language_models.ngram_lm import train_ngram_lm
    from nemo_models.language_models.text_counts import describe_counts

    logging.setLevel(logging.ERROR)
    path = settings.model_path
    config = read_nemo_config(path) if path else {}
    language = choose_language(settings.language, config.get("normalizer_fingerprint"), str(path))
    letters = read_letters(config, load_language(language).code)
    labels = read_labels(path) if path else load_alphabet(settings.alphabet, language)
    if not settings.check_against:
        print("check_against=[dev.json,test.json] would show whether the text contains evaluation sentences")
    report = train_ngram_lm(
        settings.text,
        labels,
        settings.output,
        settings.order,
        settings.prune,
        settings.memory,
        settings.numbers,
        kind=settings.kind,
        in_domain=settings.in_domain,
        held_out=settings.held_out,
        check_against=settings.check_against,
        leaks=settings.leaks,
        annotations=settings.annotations,
        abbreviations=settings.abbreviations,
        deduplicate=settings.deduplicate,
        num_workers=settings.num_workers,
        language=language,
        letters=letters,
    )
    for part in report.components:
        print(f"{part.name}: {describe_counts(part.counts)}")
        if len(report.components) > 1:
            print(f"{part.name}: weight {part.weight:.3f}; alone on held-out text: {part.held_out}")
    for suggestion in report.suggestions:
        print(suggestion)
    if report.held_out:
        print(f"held-out text: {report.held_out}")
    print("n-grams: " + ", ".join(f"{order}: {count}" for order, count in report.ngrams.items()))
    print(f"{report.output}: order {settings.order}, {report.size_bytes / 1e6:.1f} MB, {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
