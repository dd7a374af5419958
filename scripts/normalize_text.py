"""Normalise a text line by line, in the way of training transcripts and language-model text; write numbers in words.

    python scripts/normalize_text.py input=a.txt output=b.txt rejected=r.jsonl numbers=verbalize

Exit status: 0 success, perhaps with lines rejected by policy; 3 some lines are not UTF-8; 1 the job failed."""

from dataclasses import dataclass
from pathlib import Path

from data_prep.text.files import NOT_UTF8, format_report, normalize_file
from data_prep.text.policy import make_text_policy
from hydra_job import hydra_job


@dataclass(frozen=True)
class NormalizeSettings:
    """The arguments; the comments in `conf/normalize_text.yaml` explain them."""

    input: Path
    output: Path
    rejected: Path
    numbers: str
    latin: str
    annotations: str
    abbreviations: str
    language: str
    alphabet: Path | None
    explain: bool
    num_workers: int | None


@hydra_job("normalize_text", NormalizeSettings, after_interrupt="nothing was written")
def main(settings: NormalizeSettings) -> int:
    """Run the job and print its table; return the exit status."""
    policy = make_text_policy(
        settings.numbers, settings.latin, settings.annotations, settings.abbreviations, settings.language
    )
    report = normalize_file(
        settings.input,
        settings.output,
        settings.rejected,
        policy=policy,
        alphabet=settings.alphabet,
        num_workers=settings.num_workers,
        explain=print if settings.explain else None,
    )
    print(format_report(report, policy.language))
    return 3 if report.rejected[NOT_UTF8] else 0


if __name__ == "__main__":
    main()
