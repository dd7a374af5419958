"""Error rate over training time: the tiny checkpoint fine-tuned by this project's recipe and by transformers' Trainer.

Both sides have the same checkpoint, training data and seconds of audio. At each quarter of the budget, greedy texts of
the same held-out utterances are scored; the clock does not run meanwhile. The Trainer runs with the learning rate and
schedule of transformers' CTC example (3e-4, linear; its 500 updates of warm-up are a tenth of the updates here), and
once more with ten times that rate, because the checkpoint is small.

    python scripts/benchmarks/finetune_wer.py train_manifest.json test_manifest.json [--updates 240] [--seconds 60]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile
import torch
from side_process import ROOT, run_side

sys.path.insert(0, str(ROOT))

CHECKPOINT = ROOT / "nemo_models/xlsr_tiny_hi"
RUNS = {
    "trainer": "transformers' Trainer, its example's 3e-4",
    "trainer-10x": "transformers' Trainer, 3e-3",
    "ours": "this project, xlsr_tiny_hi",
}
QUARTERS = 4
BATCH = 16  # utterances in a batch of recognition


class Clock:
    """Counts the audio that a training has seen, and scores the model at each quarter of the budget."""

    def __init__(self, budget_s: float, test: Path, recognise: Callable[[Sequence[torch.Tensor]], list[str]]) -> None:
        from data_prep.manifest import read_manifest, resolve_audio_path

        rows = read_manifest(test)
        self._references = [row["text"] for row in rows]
        paths = [resolve_audio_path(row["audio_filepath"], test) for row in rows]
        self._waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
        self._recognise, self._budget_s = recognise, budget_s
        self._audio_s = self._seconds = 0.0
        self._mark = time.perf_counter()
        self.points: list[dict[str, float]] = []

    def start(self) -> None:
        self._mark = time.perf_counter()

    def count(self, lengths: torch.Tensor, _padded: int) -> None:
        self._audio_s += float(lengths.sum()) / 16000

    def end_update(self) -> bool:
        """Score if another quarter is complete; return whether the budget is used up."""
        if self._audio_s >= self._budget_s * (len(self.points) + 1) / QUARTERS:
            self._seconds += time.perf_counter() - self._mark
            self.points.append({"audio_s": self._audio_s, "seconds": self._seconds, **self._score()})
            self._mark = time.perf_counter()
        return len(self.points) == QUARTERS

    def _score(self) -> dict[str, float]:
        from nemo_models.evaluation.scoring import score_texts

        texts = []
        for first in range(0, len(self._waves), BATCH):
            texts += self._recognise(self._waves[first : first + BATCH])
        scores = score_texts(self._references, texts)
        return {"wer": scores.wer, "cer": scores.cer}


def run_ours(arguments: argparse.Namespace) -> list[dict[str, float]]:
    from hydra import compose, initialize_config_dir
    from lightning.pytorch import Callback, Trainer
    from nemo.utils import logging
    from nemo.utils.trainer_utils import resolve_trainer_cfg
    from omegaconf import OmegaConf

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.encoder_checkpoint import load_encoder_weights
    from nemo_models.checkpoints.loading import load_checkpoint
    from nemo_models.ctc_model import XLSRCTCModel
    from nemo_models.decoding.strategy import decode_log_probs

    logging.setLevel(logging.ERROR)
    overrides = [
        f"init_from_checkpoint={CHECKPOINT}",
        "exp_manager.exp_dir=unused",
        f"model.train_ds.manifest_filepath={arguments.train}",
        f"model.validation_ds.manifest_filepath={arguments.test}",
        f"model.train_ds.batch_duration={arguments.seconds}",
        f"trainer.max_steps={2 * arguments.updates}",  # the clock ends the training
        "+trainer.limit_val_batches=0",
        "+trainer.enable_progress_bar=false",
        f"+model.optim.sched.max_steps={arguments.updates}",
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("xlsr_tiny_hi", overrides=overrides)
    OmegaConf.set_struct(config, False)
    torch.manual_seed(config.seed)
    checkpoint = load_checkpoint(str(CHECKPOINT), with_head=False)
    config.model.labels = load_alphabet()
    config.model.encoder.architecture = dict(checkpoint.architecture)
    config.model.preprocessor.update(normalize=checkpoint.normalize, epsilon=checkpoint.epsilon)

    def recognise(waves: Sequence[torch.Tensor]) -> list[str]:
        was_training = {name: module.training for name, module in model.named_modules()}
        model.eval()
        with torch.inference_mode():
            lengths = torch.tensor([len(wave) for wave in waves])
            signal = torch.nn.utils.rnn.pad_sequence(list(waves), batch_first=True)
            log_probs, frames, _ = model(input_signal=signal, input_signal_length=lengths)
            texts = [hypothesis.text for hypothesis in decode_log_probs(model, log_probs, frames)]
        for name, module in model.named_modules():
            module.training = was_training[name]
        return texts

    clock = Clock(arguments.updates * arguments.seconds, arguments.test, recognise)

    class Watch(Callback):
        def on_train_start(self, *_) -> None:
            clock.start()

        def on_train_batch_start(self, trainer, module, batch, index) -> None:
            clock.count(batch[1], batch[0].numel())

        def on_train_batch_end(self, trainer, *_) -> None:
            trainer.should_stop = clock.end_update()

    trainer = Trainer(**resolve_trainer_cfg(config.trainer), callbacks=[Watch()])
    model = XLSRCTCModel(cfg=config.model, trainer=trainer)
    load_encoder_weights(model.encoder, checkpoint)
    trainer.fit(model)
    return clock.points


def run_trainer(arguments: argparse.Namespace, learning_rate: float) -> list[dict[str, float]]:
    from transformers import TrainerCallback, Wav2Vec2ForCTC
    from transformers_trainer import batch_of, load_utterances, make_trainer, prepare

    from data_prep.text.alphabet import load_alphabet

    labels = load_alphabet()
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC.from_pretrained(
        CHECKPOINT,
        vocab_size=len(labels) + 1,
        pad_token_id=len(labels),
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        layerdrop=0.0,
        mask_time_prob=0.0,  # the value of this project's recipe; the example's 0.05 is for large checkpoints
    )
    model.freeze_feature_encoder()
    data = load_utterances(arguments.train, labels)

    def recognise(waves: Sequence[torch.Tensor]) -> list[str]:
        model.eval()
        inputs = prepare([wave.numpy() for wave in waves])
        with torch.inference_mode():
            best = model(inputs["input_values"], attention_mask=inputs["attention_mask"]).logits.argmax(dim=-1)
        counts = model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(dim=1))
        model.train()
        runs = [torch.unique_consecutive(row[:count]).tolist() for row, count in zip(best, counts, strict=True)]
        return ["".join(labels[label] for label in run if label < len(labels)) for run in runs]

    clock = Clock(arguments.updates * arguments.seconds, arguments.test, recognise)

    class Watch(TrainerCallback):
        def on_train_begin(self, *_, **__) -> None:
            clock.start()

        def on_step_end(self, settings, state, control, **_) -> None:
            control.should_training_stop = clock.end_update()

    with tempfile.TemporaryDirectory() as scratch:
        make_trainer(
            model,
            data,
            clock.count,
            [Watch()],
            output_dir=scratch,
            per_device_train_batch_size=batch_of(data, arguments.seconds),
            max_steps=arguments.updates
            + arguments.updates // 10,  # the clock ends the training; batches differ in seconds
            learning_rate=learning_rate,
            warmup_steps=arguments.updates // 10,
            train_sampling_strategy="group_by_length",
            use_cpu=True,
        ).train()
    return clock.points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=lambda path: Path(path).resolve())
    parser.add_argument("test", type=lambda path: Path(path).resolve())
    parser.add_argument("--updates", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of audio in an update")
    parser.add_argument("--run", choices=RUNS, help="run one side only and print its points as JSON")
    arguments = parser.parse_args()
    if arguments.run:
        rates = {"trainer": 3e-4, "trainer-10x": 3e-3}
        points = run_ours(arguments) if arguments.run == "ours" else run_trainer(arguments, rates[arguments.run])
        print(json.dumps(points))
        return
    print("| side | audio seen, s | training time, s | WER % | CER % |\n|---|---|---|---|---|")
    for name, title in RUNS.items():
        for point in run_side(__file__, [*sys.argv[1:], "--run", name]):
            rates_percent = f"{100 * point['wer']:.2f} | {100 * point['cer']:.2f}"
            print(f"| {title} | {point['audio_s']:.0f} | {point['seconds']:.0f} | {rates_percent} |", flush=True)


if __name__ == "__main__":
    main()
