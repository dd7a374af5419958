"""Find evaluation sentences in training text: whole, inside longer lines, broken over lines, or in large part.

Reads NeMo manifests, plain text and corpus folders on both sides; training material is streamed. Exit status: 0 no
leak; 3 leaks, or a speaker is on both sides; 1 the job failed."""

from omegaconf import DictConfig

from data_prep.arguments import list_values
from data_prep.manifest import write_json
from data_prep.selection.leaks import find_leaks, format_leaks
from hydra_job import hydra_job


@hydra_job("find_leaks")
def main(cfg: DictConfig) -> int:
    """Run the job, print what leaks, and return the exit status."""
    report = find_leaks(list_values(cfg.training), list_values(cfg.evaluation), cfg.ngram, cfg.min_overlap)
    if cfg.output:
        write_json(cfg.output, report)
    print(format_leaks(report, cfg.max_examples))
    return 3 if report["leaked"] or report["shared_speakers"] else 0


if __name__ == "__main__":
    main()
