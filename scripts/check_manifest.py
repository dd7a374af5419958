"""Check a NeMo manifest row by row: the audio is complete and of the right format, the duration is that of the audio,
the text is normalised, inside the alphabet and can be aligned by CTC, and no row is repeated. mode=validate explains
each fault; mode=fix also writes a new manifest with durations, texts and formats repaired. Rows that cannot be
repaired are left out, counted and listed.

Exit status: 0 every row passes (validate), or the new manifest is written and no row was left out (fix); 3 there are
faults, or rows were left out; 1 the job failed."""

from dataclasses import dataclass
from pathlib import Path

from data_prep.manifest import write_jsonl
from data_prep.prepare.validation import check_manifest, format_check
from data_prep.selection.quality import QualityLimits
from hydra_job import hydra_job


@dataclass(frozen=True, kw_only=True)
class ManifestCheckSettings(QualityLimits):
    """The arguments; the comments in `conf/check_manifest.yaml` explain them."""

    manifest: Path
    mode: str
    output: Path | None
    faults: Path | None
    duplicate_audio: str
    duplicate_text: str
    language: str
    alphabet: Path | None
    annotations: str
    abbreviations: str
    num_workers: int | None
    max_examples: int


@hydra_job("check_manifest", ManifestCheckSettings)
def main(settings: ManifestCheckSettings) -> int:
    """Run the job, print the faults, and return the exit status."""
    beside = {"faults", "max_examples"}
    report = check_manifest(**{key: value for key, value in vars(settings).items() if key not in beside})
    if not report["in"]:
        raise ValueError(f"{settings.manifest}: found no row, expected one JSON object a line")
    if settings.faults:
        write_jsonl(settings.faults, report["faults"])
    print(format_check(report, settings.max_examples))
    repaired = report["kept"] - report["sound"]
    return 3 if report["rejected"] or (report["mode"] == "validate" and repaired) else 0


if __name__ == "__main__":
    main()
