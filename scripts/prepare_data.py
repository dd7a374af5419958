"""Turn a corpus into 16 kHz audio and NeMo manifests: train_manifest.json, dev_manifest.json, test_manifest.json,
rejected.jsonl (each row left out, and why), report.json and report.html (to look at and listen to), in output_dir.

A killed run goes on where it stopped when called again. Exit status: 0 all is well, though rows may have been left out
by policy (too long, characters outside the alphabet); 3 some rows are broken (unreadable or missing audio, malformed
row); 1 the job could not be done."""

from omegaconf import DictConfig, OmegaConf

from data_prep.prepare.pipeline import prepare_corpus
from data_prep.prepare.report import EXIT_STATUS_REJECTED_AS_ERROR, format_report
from hydra_job import hydra_job


@hydra_job("prepare_data", after_interrupt="finished shards are kept; run the same command again to continue")
def main(cfg: DictConfig) -> int:
    """Run the job and print its report; return the exit status."""
    report = prepare_corpus(**OmegaConf.to_container(cfg, resolve=True))
    print(format_report(report))
    return EXIT_STATUS_REJECTED_AS_ERROR if report["rejected_as_error"] else 0


if __name__ == "__main__":
    main()
