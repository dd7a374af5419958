"""Check a NeMo manifest row by row: the audio is complete and of the right format, the duration is that of the audio,
the text is normalised, inside the alphabet and can be aligned by CTC, and no row is repeated. mode=validate explains
each fault; mode=fix also writes a new manifest with durations, texts and formats repaired. Rows that cannot be
repaired are left out, counted and listed.

Exit status: 0 every row passes (validate), or the new manifest is written and no row was left out (fix); 3 there are
faults, or rows were left out; 1 the job failed."""

from omegaconf import DictConfig, OmegaConf

from data_prep.manifest import write_jsonl
from data_prep.prepare.validation import check_manifest, format_check
from hydra_job import hydra_job


@hydra_job("check_manifest")
def main(cfg: DictConfig) -> int:
    """Run the job, print the faults, and return the exit status."""
    arguments = OmegaConf.to_container(cfg, resolve=True)
    faults, examples = arguments.pop("faults"), arguments.pop("max_examples")
    report = check_manifest(**arguments)
    if not report["in"]:
        raise ValueError(f"{arguments['manifest']}: found no row, expected one JSON object a line")
    if faults:
        write_jsonl(faults, report["faults"])
    print(format_check(report, examples))
    repaired = report["kept"] - report["sound"]
    return 3 if report["rejected"] or (report["mode"] == "validate" and repaired) else 0


if __name__ == "__main__":
    main()
