"""Error rate over training time: a checkpoint fine-tuned by a recipe of this project and by transformers' Trainer.

All sides have the same checkpoint, training data and seconds of audio. At each quarter of the budget, greedy texts of
the same held-out utterances are scored; the clock does not run meanwhile. The Trainer runs

- with the recipe's values (`trainer-same`): the same weights at the start, those of the head too, and the same loss,
  learning rates, schedule, frozen updates, weight decay, clipping, masks, dropout and copies at other speeds;
- with the learning rate and schedule of transformers' CTC example (`trainer`: 3e-4, linear; its 500 updates of warm-up
  are a tenth of the updates here), and with ten times that rate (`trainer-10x`), because small checkpoints need it.

    python scripts/benchmarks/finetune_wer.py train_manifest.json test_manifest.json [--recipe xlsr_tiny_en]
        [--language mr] [--start model.nemo] [--updates 240] [--seconds 60] [--sides ours,trainer-same]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
from side_process import ROOT, run_side

sys.path.insert(0, str(ROOT))

SIDES = {
    "trainer": "transformers' Trainer, its example's 3e-4",
    "trainer-10x": "transformers' Trainer, 3e-3",
    "trainer-same": "transformers' Trainer, the values of {recipe}",
    "ours": "this project, {recipe}",
}
EXAMPLE_RATES = {"trainer": 3e-4, "trainer-10x": 3e-3}
QUARTERS = 4
BATCH = 16  # utterances in a batch of recognition


class Clock:
    """Counts the audio that a training has seen, and scores the model at each quarter of the budget."""

    def __init__(self, config: Any, test: Path, recognise: Callable[[Sequence[torch.Tensor]], list[str]]) -> None:
        from data_prep.manifest import read_manifest, resolve_audio_path

        rows = read_manifest(test)
        self._references = [row["text"] for row in rows]
        paths = [resolve_audio_path(row["audio_filepath"], test) for row in rows]
        self._waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
        self._recognise, self._language = recognise, config.language
        self._budget_s = config.trainer.max_steps * config.model.train_ds.batch_duration
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
        scores = score_texts(self._references, texts, self._language)
        return {"wer": scores.wer, "cer": scores.cer}


def read_recipe(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Return the recipe, completed as for a training, and the checkpoint that all sides start from."""
    from hydra import compose, initialize_config_dir
    from nemo.utils import logging
    from omegaconf import OmegaConf

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.loading import load_checkpoint
    from nemo_models.training.configuration import complete_finetuning_config

    logging.setLevel(logging.ERROR)
    overrides = [
        "exp_manager.exp_dir=unused",
        f"model.train_ds.manifest_filepath={arguments.train}",
        f"model.validation_ds.manifest_filepath={arguments.test}",
        "trainer.accumulate_grad_batches=1",
        "+trainer.limit_val_batches=0",
        "+trainer.enable_progress_bar=false",
    ]
    overrides += [f"trainer.max_steps={arguments.updates}"] if arguments.updates else []
    overrides += [f"model.train_ds.batch_duration={arguments.seconds}"] if arguments.seconds else []
    overrides += [f"init_from_checkpoint={arguments.start}"] if arguments.start else []
    overrides += [f"language='{arguments.language}'"] if arguments.language else []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(arguments.recipe, overrides=overrides)
    OmegaConf.set_struct(config, False)
    checkpoint = load_checkpoint(str(config.init_from_checkpoint), with_head=False)
    complete_finetuning_config(config, load_alphabet(language=config.language), checkpoint)
    return config, checkpoint


def build_model(config: Any, checkpoint: Any, callbacks: Sequence[Any] = ()) -> tuple[Any, Any]:
    """Return this project's model at the start of the training, and Lightning's trainer."""
    from lightning.pytorch import Trainer
    from nemo.utils.trainer_utils import resolve_trainer_cfg
    from omegaconf import OmegaConf

    from nemo_models.checkpoints.encoder_checkpoint import load_encoder_weights
    from nemo_models.ctc_model import XLSRCTCModel

    schedule = OmegaConf.create({"model": {"optim": {"sched": {"max_steps": config.trainer.max_steps}}}})
    longer = OmegaConf.create({"trainer": {"max_steps": 2 * config.trainer.max_steps}})  # the clock ends the training
    config = OmegaConf.merge(config, schedule, longer)
    torch.manual_seed(config.seed)
    trainer = Trainer(**resolve_trainer_cfg(config.trainer), callbacks=list(callbacks))
    model = XLSRCTCModel(cfg=config.model, trainer=trainer)
    load_encoder_weights(model.encoder, checkpoint)
    return model, trainer


def run_ours(arguments: argparse.Namespace) -> list[dict[str, float]]:
    from lightning.pytorch import Callback

    from nemo_models.decoding.strategy import decode_log_probs

    config, checkpoint = read_recipe(arguments)

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

    clock = Clock(config, arguments.test, recognise)

    class Watch(Callback):
        def on_train_start(self, *_) -> None:
            clock.start()

        def on_train_batch_start(self, trainer, module, batch, index) -> None:
            clock.count(batch[1], batch[0].numel())

        def on_train_batch_end(self, trainer, *_) -> None:
            trainer.should_stop = clock.end_update()

    model, trainer = build_model(config, checkpoint, [Watch()])
    trainer.fit(model)
    return clock.points


def run_trainer(arguments: argparse.Namespace, side: str) -> list[dict[str, float]]:
    from transformers import TrainerCallback
    from transformers_trainer import batch_of, load_utterances, make_peer, make_trainer, prepare, use_recipe

    config, checkpoint = read_recipe(arguments)
    labels, updates = list(config.model.labels), config.trainer.max_steps
    is_same = side == "trainer-same"
    torch.manual_seed(config.seed)
    model = make_peer(config.model)
    model.wav2vec2.load_state_dict(checkpoint.weights)
    if is_same:
        head = build_model(config, checkpoint)[0].decoder.decoder_layers[0]
        model.lm_head.load_state_dict({"weight": head.weight[:, :, 0], "bias": head.bias})
        settings = use_recipe(config, model)
    else:
        settings = {"learning_rate": EXAMPLE_RATES[side], "warmup_steps": updates // 10}
    speeds = (1.0, 0.9, 1.1) if is_same and config.model.train_ds.perturb_speed else (1.0,)
    data = load_utterances(arguments.train, labels, speeds)

    def recognise(waves: Sequence[torch.Tensor]) -> list[str]:
        model.eval()
        inputs = prepare([wave.numpy() for wave in waves])
        with torch.inference_mode():
            best = model(inputs["input_values"], attention_mask=inputs["attention_mask"]).logits.argmax(dim=-1)
        counts = model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(dim=1))
        model.train()
        runs = [torch.unique_consecutive(row[:count]).tolist() for row, count in zip(best, counts, strict=True)]
        return ["".join(labels[label] for label in run if label < len(labels)) for run in runs]

    clock = Clock(config, arguments.test, recognise)

    class Watch(TrainerCallback):
        def on_train_begin(self, *_, **__) -> None:
            clock.start()

        def on_step_begin(self, settings, state, control, **_) -> None:
            if is_same:
                model.freeze_encoder(state.global_step < config.model.freeze_updates.modules.encoder)

        def on_step_end(self, settings, state, control, **_) -> None:
            control.should_training_stop = clock.end_update()

    with tempfile.TemporaryDirectory() as scratch:
        make_trainer(
            model,
            data,
            clock.count,
            [Watch()],
            output_dir=scratch,
            per_device_train_batch_size=batch_of(data, config.model.train_ds.batch_duration),
            max_steps=updates + updates // 10,  # the clock ends the training; batches differ in seconds
            train_sampling_strategy="group_by_length",
            use_cpu=True,
            **settings,
        ).train()
    return clock.points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=lambda path: Path(path).resolve())
    parser.add_argument("test", type=lambda path: Path(path).resolve())
    parser.add_argument("--recipe", default="xlsr_tiny_hi", help="configuration in conf/")
    parser.add_argument("--language", help="language of the texts; by default the recipe's")
    parser.add_argument("--start", type=lambda path: Path(path).resolve(), help=".nemo, .pt or Hugging Face folder")
    parser.add_argument("--updates", type=int, help="updates of the training; by default the recipe's")
    parser.add_argument("--seconds", type=float, help="seconds of audio in an update; by default the recipe's")
    parser.add_argument("--sides", type=lambda names: names.split(","), default=list(SIDES), help=", ".join(SIDES))
    parser.add_argument("--run", choices=SIDES, help="run one side only and print its points as JSON")
    arguments = parser.parse_args()
    if unknown := [side for side in arguments.sides if side not in SIDES]:
        parser.error(f"--sides: found {unknown[0]}, expected some of {', '.join(SIDES)}")
    if arguments.run:
        points = run_ours(arguments) if arguments.run == "ours" else run_trainer(arguments, arguments.run)
        print(json.dumps(points))
        return
    print("| side | audio seen, s | training time, s | WER % | CER % |\n|---|---|---|---|---|")
    for name in arguments.sides:
        for point in run_side(__file__, [*sys.argv[1:], "--run", name]):
            rates = f"{100 * point['wer']:.2f} | {100 * point['cer']:.2f}"
            title = SIDES[name].format(recipe=arguments.recipe)
            print(f"| {title} | {point['audio_s']:.0f} | {point['seconds']:.0f} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
