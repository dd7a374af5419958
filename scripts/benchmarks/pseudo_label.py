"""What the filters of `pseudo_label.py` are worth: share and error rate of the kept labels, where truth is known.

The job gets the manifest without its texts. Each setting of the filters labels the same audio; transcriptions are made
once. Label error rates are those of the kept labels against the manifest's texts, with 95 % intervals of a bootstrap
over speakers (over utterances where there are few speakers).

    python scripts/benchmarks/pseudo_label.py bundle.nemo dev_manifest.json [--setting filters.min_confidence=0.9 …] …
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

OFF = "filters.min_confidence=null filters.max_greedy_cer=null"
SETTINGS = (
    OFF,
    "filters.min_confidence=0.8 filters.max_greedy_cer=null",
    "filters.min_confidence=null filters.max_greedy_cer=0.2",
    "filters.min_confidence=0.8 filters.max_greedy_cer=0.2",
    "filters.min_confidence=0.9 filters.max_greedy_cer=0.1",
    "filters.min_confidence=0.95 filters.max_greedy_cer=0.05",
    "filters.min_confidence=null filters.max_greedy_cer=null filters.max_dropout_cer=0.1",
)


def label(model: Path, manifest: Path, output: Path, setting: str) -> list[dict[str, Any]]:
    """Run the job with a setting; return the kept rows."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    import pseudo_label  # noqa: F401  registers the types of its arguments
    from data_prep.job_settings import read_settings
    from data_prep.manifest import read_manifest
    from nemo_models.self_training.pseudo_labels import label_audio
    from nemo_models.self_training.settings import PseudoLabelSettings

    given = [f"model_path={model}", f"dataset_manifest={manifest}", f"output={output}", *shlex.split(setting)]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        arguments: Any = OmegaConf.to_container(compose("pseudo_label", overrides=given), resolve=True)
    label_audio(read_settings(PseudoLabelSettings, arguments))
    return read_manifest(output)


def describe(kept: Sequence[Mapping[str, Any]], truth: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the kept share and the error rates of a setting as cells of a table."""
    from rapidfuzz.distance import Levenshtein

    from nemo_models.evaluation.scoring import score_texts
    from nemo_models.evaluation.statistics import bootstrap_rate, group_blocks

    rows = [truth[str(Path(row["audio_filepath"]).resolve())] for row in kept]
    scores = score_texts([row["text"] for row in rows], [row["text"] for row in kept])
    pairs = [(row["text"].split(), label["text"].split()) for row, label in zip(rows, kept, strict=True)]
    errors = np.array([Levenshtein.distance(*pair) for pair in pairs])
    words = np.array([len(reference) for reference, _ in pairs])
    interval = bootstrap_rate(errors, words, *group_blocks([row.get("speaker") for row in rows], len(rows)))
    seconds = sum(row["duration"] for row in rows) / sum(row["duration"] for row in truth.values())
    right = sum(reference == hypothesis for reference, hypothesis in pairs) / len(pairs)
    return (
        f"{100 * len(kept) / len(truth):.1f} | {100 * seconds:.1f} | {100 * scores.wer:.2f} "
        f"({100 * interval.low:.2f} to {100 * interval.high:.2f}, {interval.unit}) | {100 * scores.cer:.2f} | "
        f"{100 * right:.1f}"
    )


def main() -> None:
    from nemo.utils import logging

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path, help="NeMo manifest of whole recordings with their texts")
    parser.add_argument("--setting", nargs="+", action="append", help="arguments of pseudo_label.py; may be repeated")
    arguments = parser.parse_args()
    logging.setLevel(logging.ERROR)

    from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl

    truth = {
        str(resolve_audio_path(row["audio_filepath"], arguments.manifest).resolve()): row
        for row in read_manifest(arguments.manifest)
    }
    settings = [" ".join(given) for given in arguments.setting or ()] or SETTINGS
    table = []
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"audio_filepath": path, "duration": row["duration"]} for path, row in truth.items()]
        write_jsonl(Path(folder) / "audio.json", rows)
        for setting in settings:
            kept = label(arguments.model, Path(folder) / "audio.json", Path(folder) / "pseudo.json", setting)
            report = json.loads((Path(folder) / "pseudo_files/report.json").read_text(encoding="utf-8"))
            reasons = ", ".join(f"{reason} {count}" for reason, count in report["rejected_by_reason"].items())
            table.append(f"| {setting} | {describe(kept, truth)} | {reasons or '–'} |")
    columns = ("filters", "kept %", "seconds kept %", "label WER % (95 % interval)", "label CER %", "without error %")
    print(f"| {' | '.join((*columns, 'left out'))} |\n{'|---' * 7}|", *table, sep="\n")


if __name__ == "__main__":
    main()
