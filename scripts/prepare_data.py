"""Turn a corpus into 16 kHz audio and NeMo manifests. Written into output_dir: train_manifest.json, dev_manifest.json,
test_manifest.json, rejected.jsonl (each row left out, with the reason), report.json, and report.html with examples to
listen to.

Run the same command again to continue a killed run. Exit status: 0 success, perhaps with rows left out by policy (too
long, characters outside the alphabet); 3 some rows are broken (unreadable or missing audio, malformed row); 1 the job
failed, or no row was kept."""

from data_prep.prepare.pipeline import prepare_corpus
from data_prep.prepare.report import check_success, format_preparation
from data_prep.prepare.settings import PrepareSettings
from hydra_job import hydra_job


@hydra_job(
    "prepare_data", PrepareSettings, after_interrupt="finished rows are kept; run the same command again to continue"
)
def main(settings: PrepareSettings) -> int:
    """Run the job and print its report; return the exit status."""
    report = prepare_corpus(settings)
    print(format_preparation(report))
    return check_success(report)


if __name__ == "__main__":
    main()
