"""Label audio without transcripts with a model, filter the labels, and write a NeMo manifest for fine-tuning.

Beside `output`, the folder <output>_files holds labels.jsonl (every label with all that was measured), rejected.jsonl
(each one left out, with the reason), report.html with examples to listen to, and converted audio. With rounds=N, each
round labels, trains the model further on labelled data and labels, and labels again with what came out.

Run the same command again to continue a stopped run. Exit status: 0; 3 if audio is missing or broken; 1 if nothing was
labelled, or a round failed.

    python scripts/pseudo_label.py model_path=bundle.nemo audio_dir=recordings output=pseudo.json
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.prepare.report import check_success, format_preparation
from hydra_job import hydra_job
from nemo_models.self_training.settings import PseudoLabelSettings
from nemo_models.transcription.nemo_arguments import OPEN_GROUPS

FINE_TUNE = Path(__file__).with_name("speech_to_text_finetune.py")


def open_listed_keys(argument: str) -> str:
    """Let arguments name keys of decoding and of fine-tuning that the YAML does not list."""
    is_open = argument.startswith((*(f"{group}." for group in OPEN_GROUPS), "fine_tuning.arguments."))
    return f"++{argument}" if is_open else argument


@hydra_job("pseudo_label", PseudoLabelSettings, rewrite=open_listed_keys)
def main(settings: PseudoLabelSettings) -> int:
    from nemo.utils import logging

    from nemo_models.self_training.pseudo_labels import label_audio
    from nemo_models.self_training.rounds import run_rounds

    logging.setLevel(logging.ERROR)
    if not settings.rounds:
        report = label_audio(settings)
        print(format_preparation(report))
        print(f"labels: {settings.output}")
        return check_success(report)
    statuses = [0]

    def tell(number: int, report: Mapping[str, Any] | None) -> None:
        if report is None:
            print(f"round {number}: finished by an earlier run")
            return
        print(f"round {number}:\n{format_preparation(report)}", flush=True)
        statuses.append(check_success(report))

    model = run_rounds(settings, run_fine_tuning, tell)
    print(f"labels: {settings.output}\nmodel: {model}")
    return max(statuses)


def run_fine_tuning(arguments: Sequence[str]) -> None:
    """Run a fine-tuning in a process of its own, which starts further ones on several GPUs."""
    status = subprocess.run([sys.executable, str(FINE_TUNE), *arguments], check=False).returncode
    if status:
        raise ValueError(
            f"fine_tuning: the training ended with exit status {status}, see its output above; correct "
            "fine_tuning.arguments, or run the same command again"
        )


if __name__ == "__main__":
    main()
