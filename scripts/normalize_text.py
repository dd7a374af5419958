"""Normalise a Hindi text, line in, line out, as training transcripts and language-model text are; say numbers in words.

    python scripts/normalize_text.py input=a.txt output=b.txt rejected=r.jsonl numbers=verbalize

Exit status: 0 all is well, though lines may have been rejected by policy; 3 some lines are not UTF-8; 1 the job could
not be done."""

from omegaconf import DictConfig

from data_prep.text.files import NOT_UTF8, format_report, normalize_file
from data_prep.text.policy import TextPolicy
from hydra_job import hydra_job


@hydra_job("normalize_text", after_interrupt="nothing was written")
def main(cfg: DictConfig) -> int:
    """Run the job and print its table; return the exit status."""
    report = normalize_file(
        cfg.input,
        cfg.output,
        cfg.rejected,
        policy=TextPolicy(cfg.numbers, cfg.latin, cfg.annotations, cfg.abbreviations),
        alphabet=cfg.alphabet,
        num_workers=cfg.num_workers,
        explain=print if cfg.explain else None,
    )
    print(format_report(report))
    return 3 if report.rejected[NOT_UTF8] else 0


if __name__ == "__main__":
    main()
