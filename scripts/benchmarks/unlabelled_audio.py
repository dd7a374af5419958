"""What audio without transcripts is worth: error rates of models trained without it, with it, and with its transcripts.

Fine-tuning on labelled data alone is compared with continued pre-training on all audio before it, with self-training
(`pseudo_label.py rounds=…`) after it, and with both. The topline is fine-tuned on the true transcripts of all audio.
The control is fine-tuned further on the labelled data for as many updates as self-training. The language model is of
the labelled texts. The recovered share is (labelled - model) / (labelled - topline).

    python scripts/benchmarks/unlabelled_audio.py train.json dev.json test.json FOLDER --labelled-minutes 10
    python scripts/benchmarks/unlabelled_audio.py train.json dev.json test.json FOLDER --labelled other_domain.json

Every step is one of the project's commands. Finished steps in FOLDER are not run again. `--fine-tune`, `--pre-train`
and `--label` add arguments to them.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

CONDITIONS = ("labelled", "control", "self-training", "pre-training", "both", "topline")


class Experiment:
    """The runs of one seed, each in a folder of its name.

    Attributes:
        given: The command line.
        folder: Folder of this seed.
        labelled: Manifest with the transcripts that may be read.
        unlabelled: Manifest of the other training audio.
    """

    def __init__(self, given: argparse.Namespace, seed: int) -> None:
        self.given, self.seed, self.folder = given, seed, given.folder / f"seed_{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.labelled, self.unlabelled = self.folder / "labelled.json", self.folder / "unlabelled.json"
        self._split()

    def _split(self) -> None:
        """Draw speakers for the labelled minutes, or take the other domain's manifest as the labelled data."""
        from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl

        def read(manifest: Path) -> list[dict[str, Any]]:
            rows = read_manifest(manifest)
            if not rows or not all("speaker" in row and "text" in row for row in rows):
                sys.exit(f"{manifest}: expected rows with `text` and `speaker`; add them, prepare_data.py writes both")
            return [{**row, "audio_filepath": str(resolve_audio_path(row["audio_filepath"], manifest))} for row in rows]

        rows = read(self.given.train)
        if self.given.labelled:
            labelled, unlabelled = read(self.given.labelled), rows
        else:
            speakers = sorted({row["speaker"] for row in rows})
            random.Random(self.seed).shuffle(speakers)
            chosen: set[str] = set()
            while (
                speakers
                and sum(row["duration"] for row in rows if row["speaker"] in chosen) < 60 * self.given.labelled_minutes
            ):
                chosen.add(speakers.pop())
            labelled = [row for row in rows if row["speaker"] in chosen]
            unlabelled = [row for row in rows if row["speaker"] not in chosen]
        write_jsonl(self.labelled, labelled)
        write_jsonl(self.unlabelled, unlabelled)
        (self.folder / "labelled.txt").write_text("".join(f"{row['text']}\n" for row in labelled), encoding="utf-8")

    def run(self, condition: str) -> Path:
        """Train a condition's model, if that has not been done; return it with its language model inside."""
        if condition == "labelled":
            return self._bundle(condition, self._fine_tune(condition, [self.labelled]))
        if condition == "topline":
            return self._bundle(condition, self._fine_tune(condition, [self.labelled, self.unlabelled]))
        if condition == "pre-training":
            return self._bundle(condition, self._fine_tune(condition, [self.labelled], start=self._pre_train()))
        if condition == "control":
            first = self.folder / "labelled/exp/labelled/checkpoints/labelled.nemo"
            self.run("labelled")
            return self._bundle(condition, self._fine_tune(condition, [self.labelled], start=first, with_head=True))
        return self._self_train(condition, self.run("pre-training" if condition == "both" else "labelled"))

    def _fine_tune(
        self, name: str, manifests: Sequence[Path], start: Path | None = None, with_head: bool = False
    ) -> Path:
        data = ",".join(str(path) for path in manifests)
        start = start or self.given.start
        arguments = [f"init_from_checkpoint={start}"] if start else []
        if with_head:
            arguments += [f"+init_from_nemo_model={start}", "model.freeze_updates.enabled=false"]
        self._command(
            f"{name}/fine_tune",
            *("speech_to_text_finetune.py", "--config-name", self.given.recipe, f"name={name}", f"seed={self.seed}"),
            *(f"exp_manager.exp_dir={self.folder / name / 'exp'}", f"model.train_ds.manifest_filepath=[{data}]"),
            *(f"model.validation_ds.manifest_filepath={self.given.dev}", *arguments, *self.given.fine_tune),
        )
        return self.folder / name / "exp" / name / "checkpoints" / f"{name}.nemo"

    def _pre_train(self) -> Path:
        self._command(
            "pre-training/pre_train",
            *("speech_pre_training.py", "--config-name", self.given.pretraining_recipe, "name=encoder"),
            *(f"seed={self.seed}", f"exp_manager.exp_dir={self.folder / 'pre-training' / 'exp'}"),
            f"model.train_ds.manifest_filepath=[{self.labelled},{self.unlabelled}]",
            *([f"init_from_checkpoint={self.given.start}"] if self.given.start else []),
            *self.given.pre_train,
        )
        return self.folder / "pre-training/exp/encoder/checkpoints/encoder.nemo"

    def _bundle(self, name: str, model: Path) -> Path:
        lm, bundle = self.folder / name / "lm.nemo", self.folder / name / "bundle.nemo"
        self._command(
            f"{name}/language_model",
            *("train_ngram_lm.py", f"text={self.folder / 'labelled.txt'}", f"model_path={model}", f"output={lm}"),
            *(f"order={self.given.order}", "deduplicate=false"),
        )
        self._command(
            f"{name}/tune",
            *("tune_decoding.py", f"model_path={model}", f"lm={lm}", f"dataset_manifest={self.given.dev}"),
            f"output={bundle}",
        )
        return bundle

    def _self_train(self, name: str, bundle: Path) -> Path:
        own = [argument for argument in self.given.fine_tune if argument.startswith(("model.", "trainer."))]
        output = self.folder / name / "labels.json"
        self._command(
            f"{name}/pseudo_label",
            *("pseudo_label.py", f"model_path={bundle}", f"dataset_manifest={self.unlabelled}", f"output={output}"),
            *(f"rounds={self.given.rounds}", f"filters.evaluation=[{self.given.dev},{self.given.test}]"),
            *(f"fine_tuning.recipe={self.given.recipe}", f"fine_tuning.train_manifest={self.labelled}"),
            f"fine_tuning.validation_manifest={self.given.dev}",
            *(f"fine_tuning.arguments.{argument}" for argument in own),
            *self.given.label,
        )
        rounds = (self.folder / name).glob(f"labels_files/round_{self.given.rounds}_*/model.nemo")
        return max(rounds, key=lambda path: path.stat().st_mtime)

    def _command(self, step: str, script: str, *arguments: str) -> None:
        """Run one of the project's commands; its time is kept beside its log."""
        done, log = self.folder / f"{step}.time.json", self.folder / f"{step}.log"
        if done.is_file():
            return
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with log.open("w", encoding="utf-8") as out:
            command = [sys.executable, str(ROOT / "scripts" / script), *arguments]
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        if code not in (0, 3):  # 3: done, and some rows were left out
            sys.exit(f"{log}: the command ended with status {code}; read the log")
        cost = {
            "seconds": time.perf_counter() - started,
            "processor_seconds": used.ru_utime + used.ru_stime,
            "peak_mb": used.ru_maxrss / 1024,
            "arguments": arguments,
        }
        done.write_text(json.dumps(cost), encoding="utf-8")

    def seconds(self, condition: str) -> float:
        """Return the time of a condition's own steps."""
        files = (self.folder / condition).glob("*.time.json")
        records = [json.loads(path.read_text(encoding="utf-8")) for path in files]
        return float(sum(record["seconds"] for record in records))

    def score(self, bundle: Path) -> dict[str, Any]:
        """Return WER and CER on the test manifest, greedy and with the language model, with intervals by speaker."""
        from rapidfuzz.distance import Levenshtein

        import nemo_models
        from data_prep.manifest import read_manifest, resolve_audio_path
        from nemo_models.decoding.strategy import configure_decoding
        from nemo_models.evaluation.scoring import score_texts
        from nemo_models.evaluation.statistics import bootstrap_rate, group_blocks
        from nemo_models.inference.model_loading import load_ctc_model

        rows = read_manifest(self.given.test)
        paths = [str(resolve_audio_path(row["audio_filepath"], self.given.test)) for row in rows]
        model, found = load_ctc_model(bundle), {}
        for way in ("lm", "greedy"):
            if way == "greedy":
                configure_decoding(model, {"strategy": "greedy_batch"})
            texts = sorted(nemo_models.transcribe(model, paths, timestamps=False), key=lambda one: one.index)
            pairs = [(row["text"].split(), one.text.split()) for row, one in zip(rows, texts, strict=True)]
            errors = np.array([Levenshtein.distance(*pair) for pair in pairs])
            words = np.array([len(reference) for reference, _ in pairs])
            interval = bootstrap_rate(errors, words, *group_blocks([row.get("speaker") for row in rows], len(rows)))
            scores = score_texts([row["text"] for row in rows], [one.text for one in texts])
            found[way] = {"wer": scores.wer, "cer": scores.cer, "low": interval.low, "high": interval.high}
        return found


def main() -> None:
    given = read_arguments()
    print("| seed | model | greedy WER % (95 %) | CER % | with LM WER % (95 %) | CER % | recovered, greedy / LM | s |")
    print("|---" * 8 + "|")
    for seed in given.seeds:
        experiment, scores = Experiment(given, seed), {}
        for condition in given.conditions:
            scores[condition] = experiment.score(experiment.run(condition))
        for condition, found in scores.items():
            cells = [
                f"{100 * one['wer']:.1f} ({100 * one['low']:.1f}-{100 * one['high']:.1f}) | {100 * one['cer']:.1f}"
                for one in (found["greedy"], found["lm"])
            ]
            shares = [share_recovered(scores, condition, way) for way in ("greedy", "lm")]
            print(f"| {seed} | {condition} | {cells[0]} | {cells[1]} | {' / '.join(shares)} | ", end="")
            print(f"{experiment.seconds(condition):.0f} |", flush=True)


def share_recovered(scores: dict[str, Any], condition: str, way: str) -> str:
    """Format the share of the topline's gain that a condition reaches."""
    if "labelled" not in scores or "topline" not in scores:
        return "–"
    base, best = scores["labelled"][way]["wer"], scores["topline"][way]["wer"]
    return f"{100 * (base - scores[condition][way]['wer']) / (base - best):.0f} %" if base != best else "–"


def read_arguments() -> argparse.Namespace:

    def existing(text: str) -> Path:
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"{text}: found no such file")
        return Path(text).resolve()

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "dev", "test"):
        parser.add_argument(name, type=existing, help="NeMo manifest with `text` and `speaker`")
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("--labelled-minutes", type=float, default=10, help="minutes of train with transcripts")
    parser.add_argument("--labelled", type=existing, help="instead: labelled data elsewhere")
    parser.add_argument("--start", type=existing, help="model whose encoder every training starts from")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rounds", type=int, default=1, help="rounds of self-training")
    parser.add_argument("--recipe", default="xlsr_tiny_en", help="--config-name of the fine-tuning")
    parser.add_argument("--pretraining-recipe", default="xlsr_tiny_ssl", help="--config-name of the pre-training")
    parser.add_argument("--order", type=int, default=8, help="order of the character language model")
    for name in ("fine-tune", "pre-train", "label"):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
