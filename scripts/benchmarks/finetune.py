"""How fast a fine-tuning step is: this project's recipe beside transformers' Trainer, on real utterance lengths.

Same size, precision, masks, dropouts and frozen convolutions; as much audio in a batch on average. Each runs in a
process of its own; audio-seconds are those of the utterances, padding not counted. Layer drop is off on both sides,
since it would make steps of unlike work.

    python scripts/benchmarks/finetune.py train_manifest.json [--size mid|xlsr53] [--device cpu|cuda]
        [--precision float32|bfloat16] [--seconds 60] [--updates 4]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ROOT = Path(__file__).resolve().parents[2]
RUNS = {
    "trainer": "transformers' Trainer, default batches",
    "trainer-grouped": "transformers' Trainer, group_by_length",
    "ours": "this project, xlsr_hi",
}
SIZES = {
    "mid": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "xlsr53": {},
}
WARM_UP = 1  # updates that are not counted
GFLOP_PER_SECOND = 96  # of audio, one step at XLSR-53's size with frozen convolutions


class Meter:
    """Counts updates after the warm-up, audio in them, and how long each stage took."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        self.stages: dict[str, float] = defaultdict(float)
        self.updates = 0
        self.audio_s = 0.0
        self.padded_s = 0.0
        self._began = 0.0

    def now(self) -> float:
        if self._on_gpu:
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    def count(self, lengths, padded: int) -> None:
        """Note a batch: samples of each utterance, and the samples of the padded tensor."""
        self.audio_s += float(lengths.sum()) / 16000
        self.padded_s += padded / 16000

    def end_update(self) -> None:
        self.updates += 1
        if self.updates == WARM_UP:
            self.stages.clear()
            self.audio_s = self.padded_s = 0.0
            self._began = self.now()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = self.now()
        yield
        self.stages[name] += self.now() - began

    def watch(self, module, name: str) -> None:
        """Time a module's forward pass."""
        starts = []
        module.register_forward_pre_hook(lambda *_: starts.append(self.now()))
        module.register_forward_hook(
            lambda *_: self.stages.__setitem__(name, self.stages[name] + self.now() - starts.pop())
        )

    def report(self) -> dict[str, object]:
        seconds = self.now() - self._began
        if self._on_gpu:
            import torch

            memory = torch.cuda.max_memory_allocated()
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "audio_s": self.audio_s,
            "padded_s": self.padded_s,
            "seconds": seconds,
            "memory": memory,
            "stages": dict(self.stages),
        }


def recipe(arguments: argparse.Namespace):
    """The shipped configuration, with random weights of the size asked for."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from data_prep.alphabet import load_alphabet

    overrides = [
        "init_from_xlsr=null",
        "exp_manager.exp_dir=unused",
        f"model.train_ds.manifest_filepath={arguments.manifest}",
        f"model.validation_ds.manifest_filepath={arguments.manifest}",
        f"model.train_ds.batch_duration={arguments.seconds}",
        "model.train_ds.num_workers=1",
        "model.encoder.layerdrop=0",
        "model.freeze_updates.enabled=false",
        "trainer.accumulate_grad_batches=1",
        f"trainer.max_steps={WARM_UP + arguments.updates}",
        f"trainer.precision={'bf16-mixed' if arguments.precision == 'bfloat16' else '32-true'}",
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("xlsr_hi", overrides=overrides)
    OmegaConf.set_struct(config, False)
    config.model.labels = load_alphabet()
    config.model.encoder.architecture.update(SIZES[arguments.size])
    return config


def run_ours(arguments: argparse.Namespace) -> dict[str, object]:
    from lightning.pytorch import Callback, Trainer
    from nemo.utils import logging
    from nemo.utils.trainer_utils import resolve_trainer_cfg

    from nemo_models.ctc_model import XLSRCTCModel

    logging.setLevel(logging.ERROR)
    config = recipe(arguments)
    meter = Meter(arguments.device)

    class Watch(Callback):
        """Lightning's hooks lie between the stages of a step."""

        mark = 0.0

        def lap(self, stage: str) -> None:
            now = meter.now()
            meter.stages[stage] += now - self.mark
            self.mark = now

        def on_train_start(self, *_) -> None:
            self.mark = meter.now()

        def on_train_batch_start(self, trainer, module, batch, index) -> None:
            self.lap("data")
            meter.count(batch[1], batch[0].numel())

        def on_before_backward(self, *_) -> None:
            self.lap("forward and loss")

        def on_after_backward(self, *_) -> None:
            self.lap("backward")

        def on_train_batch_end(self, *_) -> None:
            self.lap("optimizer")
            meter.end_update()
            self.mark = meter.now()

    config.trainer.update(
        accelerator="gpu" if arguments.device == "cuda" else "cpu",
        devices=1,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer = Trainer(**resolve_trainer_cfg(config.trainer), callbacks=[Watch()])
    model = XLSRCTCModel(cfg=config.model, trainer=trainer)
    meter.watch(model.encoder.network.feature_extractor, "convolutions (in forward)")
    meter.watch(model.encoder.network.encoder, "transformer (in forward)")
    trainer.fit(model)
    return meter.report()


def run_trainer(arguments: argparse.Namespace, strategy: str) -> dict[str, object]:
    import torch
    from omegaconf import OmegaConf
    from transformers import TrainerCallback, Wav2Vec2Config, Wav2Vec2ForCTC
    from transformers_trainer import batch_of, load_utterances, make_trainer

    config = recipe(arguments)
    encoder, labels = OmegaConf.to_container(config.model.encoder), list(config.model.labels)
    meter, data = Meter(arguments.device), load_utterances(arguments.manifest, labels)

    class Watch(TrainerCallback):
        def on_step_end(self, *_, **__) -> None:
            meter.end_update()

    torch.manual_seed(0)
    taken = ("mask_time_", "mask_feature_", "hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_")
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            **encoder["architecture"],
            **{key: value for key, value in encoder.items() if key.startswith(taken)},
            final_dropout=0.0,
            layerdrop=0.0,
            vocab_size=len(labels) + 1,
            pad_token_id=len(labels),
            ctc_loss_reduction="mean",
            ctc_zero_infinity=True,
        )
    )
    model.freeze_feature_encoder()
    meter.watch(model.wav2vec2.feature_extractor, "convolutions (in forward)")
    meter.watch(model.wav2vec2.encoder, "transformer (in forward)")
    with tempfile.TemporaryDirectory() as scratch:
        make_trainer(
            model,
            data,
            meter.count,
            [Watch()],
            output_dir=scratch,
            per_device_train_batch_size=batch_of(data, arguments.seconds),
            max_steps=WARM_UP + arguments.updates,
            learning_rate=config.model.optim.lr,
            bf16=arguments.precision == "bfloat16",
            train_sampling_strategy=strategy,
            dataloader_num_workers=1,
            use_cpu=arguments.device == "cpu",
        ).train()
    return meter.report()


def measure(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Run one side in a process of its own; the report is its last line."""
    command = [sys.executable, __file__, *sys.argv[1:], "--run", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=lambda path: Path(path).resolve())
    parser.add_argument("--size", choices=SIZES, default="mid")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seconds", type=float, default=60.0, help="audio in a batch")
    parser.add_argument("--updates", type=int, default=4, help=f"that are timed, after {WARM_UP} that are not")
    parser.add_argument("--run", choices=RUNS, help="one side only, its report as JSON")
    arguments = parser.parse_args()
    if arguments.run:
        strategies = {"trainer": "random", "trainer-grouped": "group_by_length"}
        report = run_ours(arguments) if arguments.run == "ours" else run_trainer(arguments, strategies[arguments.run])
        print(json.dumps(report))
        return
    columns = ("side", "audio-s per s", "of default", "padding %", "peak memory GiB", "shares of the step")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    first = None
    for name, title in RUNS.items():
        report = measure(name, arguments)
        speed = report["audio_s"] / report["seconds"]
        first = first or speed
        padding = 100 * (1 - report["audio_s"] / report["padded_s"])
        shares = ", ".join(
            f"{stage} {100 * took / report['seconds']:.0f} %" for stage, took in report["stages"].items()
        )
        if arguments.size == "xlsr53":
            shares += f"; {speed * GFLOP_PER_SECOND / 1000:.1f} TFLOP/s"
        memory = report["memory"] / 2**30
        print(
            f"| {title} | {speed:.2f} | {speed / first:.2f} × | {padding:.0f} | {memory:.1f} | {shares} |", flush=True
        )


if __name__ == "__main__":
    main()
