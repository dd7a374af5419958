"""Find evaluation sentences in training text: whole, inside longer lines, broken over lines, or in large part.

Reads NeMo manifests, plain text and corpus folders on both sides; training material is streamed. Exit status: 0 no
leak; 3 leaks, or a speaker is on both sides; 1 the job failed."""

from dataclasses import dataclass
from pathlib import Path

from data_prep.manifest import write_json
from data_prep.selection.leaks import find_leaks, format_leaks
from hydra_job import hydra_job


@dataclass(frozen=True)
class LeakSettings:
    """The arguments; the comments in `conf/find_leaks.yaml` explain them."""

    training: list[Path]
    evaluation: list[Path]
    ngram: int
    min_overlap: float
    language: str
    output: Path | None
    max_examples: int


@hydra_job("find_leaks", LeakSettings)
def main(settings: LeakSettings) -> int:
    """Run the job, print what leaks, and return the exit status."""
    report = find_leaks(settings.training, settings.evaluation, settings.ngram, settings.min_overlap, settings.language)
    if settings.output:
        write_json(settings.output, report)
    print(format_leaks(report, settings.max_examples))
    return 3 if report["leaked"] or report["shared_speakers"] else 0


if __name__ == "__main__":
    main()
