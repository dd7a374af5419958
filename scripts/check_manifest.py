"""Check a NeMo manifest row by row: audio there, whole and of the right format, duration true, text normalised and
inside the alphabet, alignable by CTC, nothing twice. mode=validate explains each fault; mode=fix also writes a new
manifest, with durations, texts and formats repaired and rows beyond repair left out, each counted and listed.

Exit status: 0 every row is sound (validate), or the new manifest is written and no row was left out (fix); 3 there are
faults, or rows were left out; 1 the job could not be done."""

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
        raise ValueError(f"{arguments['manifest']}: no row in it; nothing can be trained or measured on it")
    if faults:
        write_jsonl(faults, report["faults"])
    print(format_check(report, examples))
    repaired = report["kept"] - report["sound"]
    return 3 if report["rejected"] or (report["mode"] == "validate" and repaired) else 0


if __name__ == "__main__":
    main()
