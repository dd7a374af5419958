"""The whole pipeline on the included tiny checkpoint: synthesise, prepare, import, fine-tune, language model, score.

Every step is a command of this project. It is printed before it runs, and its output goes to demo_output/logs. A step
is skipped if its result exists; `make clean` removes all results.
"""

import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = Path("scripts/demo_data")
OUT = Path("demo_output")
MODEL = OUT / "exp/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo"
LM = OUT / "lm.nemo"
CLEAR_LINE = "\r\033[K"
PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class DemoStep:
    """One command: what it is for, what it is called with, and the file that is there when it is done."""

    title: str
    script: str
    arguments: tuple[str, ...]
    result: Path


def list_commands() -> list[DemoStep]:
    """The demo's commands, in order."""
    spoken, prepared = [], []
    for part in PARTS:
        corpus, data = OUT / part, OUT / "data" / part
        speak = (f"text={SENTENCES / part}.txt", f"voices_file={SENTENCES / part}_voices.txt", f"corpus_dir={corpus}")
        if part == "test":  # every held-out sentence by every held-out voice
            speak = (*speak, "voices_per_sentence=4")
        prepare = ("corpus=tsv", f"corpus_dir={corpus}", f"output_dir={data}", f"splits={{{part}: 1.0}}")
        manifest = data / f"{part}_manifest.json"
        spoken.append(DemoStep(f"speak the {part} sentences", "synthesize_speech", speak, corpus / "transcripts.tsv"))
        prepared.append(DemoStep(f"prepare the {part} data", "prepare_data", prepare, manifest))
    train, dev, test = (step.result for step in prepared)
    imported = OUT / "xlsr_tiny.nemo"
    fine_tune = (
        *("--config-name", "xlsr_tiny_hi", f"init_from_checkpoint={imported}", f"exp_manager.exp_dir={OUT / 'exp'}"),
        *(f"model.train_ds.manifest_filepath={train}", f"model.validation_ds.manifest_filepath={dev}"),
    )
    checkpoint = ("checkpoint=nemo_models/xlsr_tiny_hi", f"output={imported}")
    text = f"text=[{SENTENCES / 'lm.txt'},{SENTENCES / 'train.txt'}]"
    ngram = (text, f"model_path={MODEL}", "order=6", f"output={LM}")
    transcribe = (f"model_path={MODEL}", f"dataset_manifest={test}")
    beam = ("ctc_decoding.strategy=beam_batch", f"ctc_decoding.beam.ngram_lm_model={LM}")
    return [
        *spoken,
        *prepared,
        DemoStep("import the tiny checkpoint", "import_checkpoint", checkpoint, imported),
        DemoStep("fine-tune", "speech_to_text_finetune", fine_tune, MODEL),
        DemoStep("train the language model", "train_ngram_lm", ngram, LM),
        *(
            DemoStep(
                f"transcribe, {name}", "transcribe_speech", (*transcribe, f"output_filename={output}", *how), output
            )
            for name, output, how in (
                ("greedily", OUT / "greedy.jsonl", ()),
                ("with beam search and language model", OUT / "beam.jsonl", beam),
            )
        ),
    ]


def main() -> int:
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(f"{__doc__.strip()}\n\nusage: make demo")
        return 0
    os.chdir(ROOT)
    (OUT / "logs").mkdir(parents=True, exist_ok=True)
    steps, started = list_commands(), time.monotonic()
    for number, step in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {step.title}", flush=True)
        if step.result.exists():
            print(f"    already there: {step.result}")
        elif status := run(step, OUT / "logs" / f"{number:02}_{step.script}.log"):
            return status
    print(f"\nDone in {time.monotonic() - started:.0f} s. Results on unseen sentences and voices:\n", flush=True)
    print_results({"greedy": OUT / "greedy.jsonl", "beam + LM": OUT / "beam.jsonl"})
    return 0


def run(step: DemoStep, log: Path) -> int:
    """Run a step, its latest progress bar in the terminal's last line, everything in `log`; return the exit status."""
    command = [f"scripts/{step.script}.py", *step.arguments]
    print(f"    python {shlex.join(command)}", flush=True)
    started, lines = time.monotonic(), []
    with (
        subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
        log.open("w", encoding="utf-8", buffering=1) as kept,  # a log of a step that hangs is of use, too
    ):
        for line in read_output(process):
            lines.append(line)
            kept.write(line + "\n")
            if sys.stdout.isatty() and "%" in line and "|" in line:
                print(CLEAR_LINE + "    " + line.strip()[: os.get_terminal_size().columns - 5], end="", flush=True)
    print(f"{CLEAR_LINE if sys.stdout.isatty() else ''}    {time.monotonic() - started:.0f} s", flush=True)
    if process.returncode:
        print(*lines[-15:], f"failed (exit status {process.returncode}); all of its output: {log}", sep="\n")
    return process.returncode


def read_output(process: subprocess.Popen[str]) -> Iterator[str]:
    """Lines as they come; a progress bar ends its line by a carriage return (which text mode makes a newline)."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip():
            yield line.rstrip("\n")


def print_results(outputs: dict[str, Path]) -> None:
    """Print error rates by voice, and five utterances with what was made of them."""
    with contextlib.redirect_stderr(io.StringIO()):  # NeMo prints messages while it is imported
        from nemo_models.evaluation.scoring import score_texts

    rows = {name: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for name, path in outputs.items()}
    voices = sorted({row["speaker"] for row in rows["greedy"]})
    print(f"{'voice':26}{'decoding':12}{'WER %':>8}{'CER %':>8}{'utterances':>12}{'words':>8}")
    for voice in [*voices, "all"]:
        for name, transcribed in rows.items():
            chosen = [row for row in transcribed if voice in ("all", row["speaker"])]
            scores = score_texts([row["text"] for row in chosen], [row["pred_text"] for row in chosen])
            rates = f"{100 * scores.wer:8.2f}{100 * scores.cer:8.2f}"
            print(f"{voice:26}{name:12}{rates}{scores.utterances:12}{scores.words:8}")
    print()
    for index in range(0, len(rows["greedy"]), max(1, len(rows["greedy"]) // 4 - 1))[:5]:
        print(f"{rows['greedy'][index]['speaker']}\nreference  {rows['greedy'][index]['text']}")
        for name, transcribed in rows.items():
            print(f"{name:11}{transcribed[index]['pred_text']}")
        print()


if __name__ == "__main__":
    sys.exit(main())
