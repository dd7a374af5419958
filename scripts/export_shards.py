"""Pack a manifest and its audio into NeMo tarred shards or Lhotse Shar, which training reads from front to back.

Run the same command again to continue a killed run. Exit status: 0 all rows are packed; 3 some audio could not be read,
see <format>.rejected.jsonl in output_dir; 1 the job failed."""

from dataclasses import dataclass
from pathlib import Path

from data_prep.prepare.export_shards import export_shards
from hydra_job import hydra_job


@dataclass(frozen=True)
class ShardSettings:
    """The arguments; the comments in `conf/export_shards.yaml` explain them."""

    manifest: Path
    output_dir: Path
    format: str
    num_shards: int | None
    audio_format: str
    seed: int
    engine: str
    address: str | None
    num_workers: int | None


@hydra_job("export_shards", ShardSettings)
def main(settings: ShardSettings) -> int:
    """Run the job, print what was packed and how to train on it, and return the exit status."""
    report = export_shards(**vars(settings))
    size = f"{report['hours']:.3f} h, {report['bytes'] / 1e6:.1f} MB, {report['shards']} shards"
    print(f"{report['in']} rows in, {report['exported']} packed ({size}), {len(report['rejected'])} rejected")
    folder, last = settings.output_dir / settings.format, report["shards"] - 1
    if settings.format == "shar":
        print(f"train with: model.train_ds.shar_path={folder}")
    else:
        manifests = f"{folder}/sharded_manifests/manifest__OP_0..{last}_CL_.json"
        tars = f"{folder}/audio__OP_0..{last}_CL_.tar"
        print(f"train with: model.train_ds.manifest_filepath={manifests} model.train_ds.tarred_audio_filepaths={tars}")
    return 3 if report["rejected"] else 0


if __name__ == "__main__":
    main()
