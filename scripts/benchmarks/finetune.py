"""Speed of a fine-tuning step: this project's recipe beside transformers' Trainer, on real utterance lengths.

Both sides have the same size, precision, masks, dropouts and frozen convolutions, and on average the same seconds of
audio in a batch. Each side runs in its own process. Audio seconds do not count padding. Layer drop is off on both
sides, because it would give the steps different amounts of work. Times are taken without waiting for the device within
a step. The operators come from one more update under torch's profiler.

    python scripts/benchmarks/finetune.py train_manifest.json [--size mid|xlsr53] [--precision float32|bfloat16]
        [--seconds 60] [--updates 4] [--sides trainer trainer-grouped ours …]

The command for a GPU below uses noise with the lengths of real speech, because a GPU machine may have no recordings. On
a bare machine, first put the wheels of NeMo, indic-nlp-library, morfessor and indic-numtowords and the repository's
root on PYTHONPATH; the Trainer needs accelerate; no network is needed. A side that fails or takes too long is named at
the end, and the others are measured:

    python scripts/benchmarks/finetune.py --synthetic 2 --device cuda --size xlsr53 --precision bfloat16 \
        --seconds 200 --updates 40 --side-timeout 150
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from side_process import ROOT, SideFailed, run_side

sys.path.insert(0, str(ROOT))

TRAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "trainer": ("transformers' Trainer, default batches", {"train_sampling_strategy": "random"}),
    "trainer-grouped": ("transformers' Trainer, group_by_length", {"train_sampling_strategy": "group_by_length"}),
    "trainer-compiled": (
        "transformers' Trainer, group_by_length, torch_compile",
        {"train_sampling_strategy": "group_by_length", "torch_compile": True},
    ),
}
OURS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ours": ("this project, xlsr_hi", ()),
    "ours-varlen": ("this project, varlen_attention", ("model.encoder.varlen_attention=true",)),
    "ours-compiled": ("this project, compile_layers", ("compile_layers=true",)),
    "ours-both": ("this project, both", ("model.encoder.varlen_attention=true", "compile_layers=true")),
    "ours-frozen": ("this project, encoder frozen", ("model.freeze_updates.enabled=true",)),
}
SIDES = {
    "cpu": ("trainer", "trainer-grouped", "ours"),
    "cuda": (*TRAINERS, "ours", "ours-varlen", "ours-compiled", "ours-both"),
}
SIZES = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
    "mid": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "xlsr53": {},
}
MATRIX_RATE = "matrix-rate"
WARM_UP = {"cpu": 1, "cuda": 12}  # updates that are not counted: they allocate memory, and choose and compile kernels


def recipe(arguments: argparse.Namespace, *overrides: str) -> Any:
    """Compose the shipped configuration with random weights of the chosen size."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from data_prep.text.alphabet import load_alphabet

    given = [
        "init_from_checkpoint=null",
        "exp_manager.exp_dir=unused",
        f"model.train_ds.manifest_filepath={arguments.manifest}",
        f"model.validation_ds.manifest_filepath={arguments.manifest}",
        f"model.train_ds.batch_duration={arguments.seconds}",
        f"model.train_ds.num_workers={arguments.workers}",
        "model.encoder.layerdrop=0",
        "model.freeze_updates.enabled=false",
        "trainer.accumulate_grad_batches=1",
        f"trainer.precision={'bf16-mixed' if arguments.precision == 'bfloat16' else '32-true'}",
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("xlsr_hi", overrides=[*given, *overrides])
    OmegaConf.set_struct(config, False)
    config.model.labels = load_alphabet()
    config.model.encoder.architecture.update(SIZES[arguments.size])
    return config


def run_ours(arguments: argparse.Namespace, overrides: tuple[str, ...]) -> dict[str, Any]:
    from lightning.pytorch import Callback, Trainer
    from nemo.utils import logging
    from nemo.utils.trainer_utils import resolve_trainer_cfg
    from step_meter import StepMeter

    from nemo_models.ctc_model import XLSRCTCModel
    from nemo_models.training.watch import TrainingWatch

    logging.setLevel(logging.ERROR)
    config = recipe(arguments, *overrides)
    meter = StepMeter(arguments.device, arguments.warm_up, arguments.updates)

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
            meter.count(batch[1], batch[0].numel())

        def on_after_backward(self, *_: Any) -> None:
            meter.after_backward()

        def on_train_batch_end(self, *_: Any) -> None:
            meter.end_update()

    config.trainer.update(
        accelerator="gpu" if arguments.device == "cuda" else "cpu",
        devices=1,
        max_steps=meter.steps,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    watch = TrainingWatch(**{key: value for key, value in config.watch.items() if key != "resume_every_n_updates"})
    trainer = Trainer(**resolve_trainer_cfg(config.trainer), callbacks=[watch, Watch()])
    model = XLSRCTCModel(cfg=config.model, trainer=trainer)
    if config.compile_layers:
        model.encoder.compile_layers()
    meter.watch(model.encoder.network.feature_extractor, model.encoder.network.encoder)
    trainer.fit(model)
    return meter.report()


def run_trainer(arguments: argparse.Namespace, strategy: dict[str, Any]) -> dict[str, Any]:
    import torch
    from omegaconf import OmegaConf
    from step_meter import StepMeter
    from transformers import TrainerCallback, Wav2Vec2Config, Wav2Vec2ForCTC
    from transformers_trainer import batch_of, load_utterances, make_trainer

    config = recipe(arguments)
    encoder, labels = OmegaConf.to_container(config.model.encoder), list(config.model.labels)
    meter = StepMeter(arguments.device, arguments.warm_up, arguments.updates)
    data = load_utterances(arguments.manifest, labels)

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
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
    if "torch_compile" not in strategy:  # the marks would break its graph
        meter.watch(model.wav2vec2.feature_extractor, model.wav2vec2.encoder)
    with tempfile.TemporaryDirectory() as scratch:
        make_trainer(
            model,
            data,
            meter.count,
            [Watch()],
            meter.after_backward,
            output_dir=scratch,
            per_device_train_batch_size=batch_of(data, arguments.seconds),
            max_steps=meter.steps,
            learning_rate=config.model.optim.lr,
            bf16=arguments.precision == "bfloat16",
            tf32=arguments.device == "cuda" or None,
            optim="adamw_torch_fused",
            logging_nan_inf_filter=False,  # true would wait for the loss in every step
            dataloader_num_workers=arguments.workers,
            use_cpu=arguments.device == "cpu",
            **strategy,
        ).train()
    return meter.report()


def measure_rate(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch
    from step_meter import measure_matrix_rate

    name = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return {"device": name, "rate": measure_matrix_rate(arguments.device, getattr(torch, arguments.precision))}


def flop_per_second(size: str) -> float:
    """Count the operations of a step with frozen convolutions for a second of audio.

    The convolutions' products count once, the linear layers' three times (forward and two backward).

    The products inside attention and the position embedding are not counted.
    """
    from omegaconf import OmegaConf

    shape = OmegaConf.load(ROOT / "conf/encoder/xlsr_53.yaml").model.encoder.architecture
    shape.update(SIZES[size])
    rate, channels, convolutions = 16_000.0, 1, 0.0
    for width, kernel, stride in zip(shape.conv_dim, shape.conv_kernel, shape.conv_stride, strict=True):
        rate /= stride
        convolutions += 2 * rate * kernel * channels * width
        channels = width
    layer = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size
    linear = 2 * rate * (shape.num_hidden_layers * layer + channels * shape.hidden_size)
    return convolutions + 3 * linear


def print_tables(arguments: argparse.Namespace, manifest: Path) -> bool:
    """Measure all sides; return whether every side was measured."""
    given = [manifest, "--size", arguments.size, "--device", arguments.device, "--precision", arguments.precision]
    given += ["--seconds", arguments.seconds, "--updates", arguments.updates, "--warm-up", arguments.warm_up]
    given += ["--workers", arguments.workers, "--run"]
    machine = run_side(__file__, [*given, MATRIX_RATE])
    print(f"{machine['device']}, {arguments.precision}: {machine['rate'] / 1e12:.2f} TFLOP/s in products of matrices\n")
    from step_meter import STAGES

    columns = ("side", "audio-s per s", "of the Trainer's best", "TFLOP/s", "of the matrix rate", "padding %")
    columns += ("peak memory GiB", *(f"{stage} %" for stage in STAGES))
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    best, failed, operators = 0.0, [], []
    for name in arguments.sides:
        title = (TRAINERS | OURS)[name][0]
        try:
            report = run_side(__file__, [*given, name], arguments.side_timeout)
        except SideFailed as error:
            failed.append(f"{title}: {error}")
            continue
        speed = report["audio_s"] / report["seconds"]
        best = max(best, speed) if name in TRAINERS else best
        flops = speed * flop_per_second(arguments.size)
        cells = [f"{speed:.2f}", f"{speed / best:.2f} ×" if best else "–", f"{flops / 1e12:.2f}"]
        cells += [f"{100 * flops / machine['rate']:.0f} %", f"{100 * (1 - report['audio_s'] / report['padded_s']):.0f}"]
        cells += [f"{report['memory'] / 2**30:.1f}"]
        shares = {stage: 100 * took / sum(report["stages"].values()) for stage, took in report["stages"].items()}
        cells += [f"{shares[stage]:.0f}" if len(shares) == len(STAGES) else "–" for stage in STAGES]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)
        longest = ", ".join(f"{operator} {100 * share:.0f} %" for operator, share in report["operators"])
        operators.append(f"| {title} | {longest} |")
    print("\n| side | longest operators of one update, by their own time |\n|---|---|", *operators, sep="\n")
    print(*failed, sep="\n", file=sys.stderr)
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", nargs="?", type=lambda path: Path(path).resolve())
    parser.add_argument(
        "--synthetic", type=float, metavar="HOURS", help="hours of noise with real lengths, instead of a manifest"
    )
    parser.add_argument("--size", choices=SIZES, default="mid")
    parser.add_argument("--device", choices=tuple(SIDES), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of audio in a batch")
    parser.add_argument("--updates", type=int, default=4, help="updates that are timed")
    parser.add_argument("--warm-up", type=int, help="updates before the timed ones; default 1, on a GPU 12")
    parser.add_argument("--workers", type=int, help="processes that read audio; default 1, on a GPU up to 8")
    parser.add_argument("--sides", nargs="+", choices=(*TRAINERS, *OURS), help="sides to measure, in this order")
    parser.add_argument("--side-timeout", type=float, metavar="S", help="seconds after which a side counts as failed")
    parser.add_argument(
        "--run", choices=(*TRAINERS, *OURS, MATRIX_RATE), help="run one side only and print its report as JSON"
    )
    arguments = parser.parse_args()
    if (arguments.manifest is None) == (arguments.synthetic is None):
        parser.error("give either a manifest or --synthetic HOURS")
    if arguments.manifest and not (arguments.manifest.is_file() and arguments.manifest.stat().st_size):
        parser.error(f"{arguments.manifest}: no such manifest, or an empty one")
    is_gpu = arguments.device == "cuda"
    arguments.sides = arguments.sides or SIDES[arguments.device]
    arguments.warm_up = WARM_UP[arguments.device] if arguments.warm_up is None else arguments.warm_up
    arguments.workers = arguments.workers or (min(8, max(1, (os.cpu_count() or 1) // 2)) if is_gpu else 1)
    if arguments.run in TRAINERS:
        print(json.dumps(run_trainer(arguments, TRAINERS[arguments.run][1])))
    elif arguments.run in OURS:
        print(json.dumps(run_ours(arguments, OURS[arguments.run][1])))
    elif arguments.run:
        print(json.dumps(measure_rate(arguments)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            manifest = arguments.manifest
            if manifest is None:
                from synthetic_speech import write_synthetic_speech

                from data_prep.text.alphabet import load_alphabet

                manifest = write_synthetic_speech(Path(folder), arguments.synthetic, load_alphabet())
            sys.exit(not print_tables(arguments, manifest))


if __name__ == "__main__":
    main()
