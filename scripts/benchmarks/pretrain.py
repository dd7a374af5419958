"""Speed of a pre-training step: this project beside transformers' logic, at equal batches, on one device.

transformers' side does what `run_wav2vec2_pretraining_no_trainer.py` does for each update: its collator's masks and
negatives (`_compute_mask_indices`, `_sample_negative_indices`), `Wav2Vec2ForPreTraining` forward and backward, the
division of the gradients by the masked frames, the norm of the gradient, and AdamW. Both sides have the same random
weights, waveforms, amount of masking and number of negatives; the sides alternate, and the first update of each is not
counted. Times include the drawing of masks and negatives on both sides, but not the reading of files. Wall-clock time
and CPU time are printed; with `--threads 1`, CPU time hardly depends on other programs.

    python scripts/benchmarks/pretrain.py [--size mid|xlsr53|tiny] [--frozen] [--batch 4] [--seconds 8] [--updates 4]

On a GPU the clock waits for the device before and after each update, the peak memory of each side's updates is given
(both models stay in memory, and are part of it). The rate of large products of matrices says what the device can do.
On a bare machine, first put the wheels of NeMo, indic-nlp-library, morfessor and indic-numtowords and the repository's
root on PYTHONPATH; no network is needed:

    python scripts/benchmarks/pretrain.py --device cuda --size xlsr53 --frozen --precision bfloat16 --batch 10 \
        --seconds 15 --updates 20
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
    "mid": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "xlsr53": {},
}
LEARNING_RATE = 1e-5
WARM_UP = {"cpu": 1, "cuda": 8}  # updates that are not counted: they allocate memory and choose kernels
SAMPLE_RATE_HZ = 16_000


def configure(size: str, is_frozen: bool) -> Any:
    """Compose the shipped recipe at a size."""
    from hydra import compose, initialize_config_dir

    overrides = ["init_from_checkpoint=null", "exp_manager.exp_dir=unused"]
    overrides += [f"model.encoder.freeze_feature_encoder={is_frozen}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("xlsr_ssl", overrides=overrides)
    cfg.model.encoder.architecture.update(SIZES[size])
    for key in ("train_ds", "validation_ds", "optim"):
        cfg.model[key] = None
    return cfg.model


def make_theirs(settings: Any, is_frozen: bool) -> Any:
    """Build transformers' model of the same size and objective."""
    from omegaconf import OmegaConf
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    architecture: Any = OmegaConf.to_container(settings.encoder.architecture)
    objective = settings.objective
    config = Wav2Vec2Config(
        **architecture,
        **dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0),
        feat_quantizer_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=settings.encoder.mask_time_prob,
        num_codevector_groups=objective.groups,
        num_codevectors_per_group=objective.entries,
        codevector_dim=objective.codevector_dim,
        proj_codevector_dim=objective.projection_dim,
        num_negatives=objective.negatives,
    )
    model = Wav2Vec2ForPreTraining(config).train()
    model.set_gumbel_temperature(settings.gumbel_temperature.start)
    if is_frozen:
        model.freeze_feature_encoder()
    return model


Step = Callable[[torch.Tensor], int]
"""Function that makes one update with waveforms, float32 (B, T), and returns the number of masked frames."""


def make_their_step(model: Any, settings: Any, autocast: Callable[[], Any]) -> Step:
    """Return one update as in transformers' script; it returns the masked frames."""
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=LEARNING_RATE)

    def step(signal: torch.Tensor) -> int:
        frames = int(model._get_feat_extract_output_lengths(torch.tensor(signal.shape[1])))
        shape = (len(signal), frames)
        mask = _compute_mask_indices(shape, settings.encoder.mask_time_prob, settings.encoder.mask_time_length)
        negatives = _sample_negative_indices(shape, model.config.num_negatives, mask_time_indices=mask)
        with autocast():
            output = model(
                signal,
                attention_mask=torch.ones_like(signal, dtype=torch.long),
                mask_time_indices=torch.from_numpy(mask).to(signal.device),
                sampled_negative_indices=torch.from_numpy(negatives).long().to(signal.device),
            )
        output.loss.backward()
        masked = int(mask.sum())
        found = [weight.grad for weight in model.parameters() if weight.grad is not None]
        for gradient in found:
            gradient.mul_(1 / masked)
        torch.nn.utils.get_total_norm(found)
        optimizer.step()
        optimizer.zero_grad()
        return masked

    return step


def make_our_step(model: Any, autocast: Callable[[], Any]) -> Step:
    """Return one update as the trainer makes it; it returns the masked frames."""
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=LEARNING_RATE, fused=True
    )

    def step(signal: torch.Tensor) -> int:
        with autocast():
            lengths = torch.full((len(signal),), signal.shape[1], device=signal.device)
            output = model.compute_loss(signal, lengths)
        output.loss.backward()
        found = [weight.grad for weight in model.parameters() if weight.grad is not None]
        for gradient in found:
            gradient.mul_(1 / output.masked)
        torch.nn.utils.get_total_norm(found)
        optimizer.step()
        optimizer.zero_grad()
        return int(output.masked)

    return step


@dataclass
class Times:
    """What the counted updates of a side took: seconds on the clock, seconds of the processor, peak bytes, frames."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    peak: int = 0
    masked: list[int] = field(default_factory=list)


def measure(steps: Mapping[str, Step], arguments: argparse.Namespace) -> dict[str, Times]:
    """Let the sides make their updates in turn, each pair on the same waveforms."""
    on_gpu = arguments.device == "cuda"
    times = {name: Times() for name in steps}
    for update in range(arguments.warm_up + arguments.updates):
        signal = torch.randn(arguments.batch, round(arguments.seconds * SAMPLE_RATE_HZ)).to(arguments.device)
        for name, step in steps.items():
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
                torch.cuda.synchronize()
            began = time.perf_counter(), time.process_time()
            masked = step(signal)
            if on_gpu:
                torch.cuda.synchronize()
            clock, processor = time.perf_counter() - began[0], time.process_time() - began[1]
            print(f"update {update}, {name}: {clock:.3f} s, processor {processor:.3f} s", flush=True)
            if update < arguments.warm_up:
                continue
            side = times[name]
            side.clock.append(clock)
            side.processor.append(processor)
            side.masked.append(masked)
            side.peak = max(side.peak, torch.cuda.max_memory_allocated() if on_gpu else 0)
    return times


def print_table(times: Mapping[str, Times], arguments: argparse.Namespace) -> None:
    """Print the medians of each side and their ratios."""
    audio = arguments.batch * arguments.seconds
    for name, side in times.items():
        clock = float(np.median(side.clock))
        memory = f"  peak {side.peak / 2**30:.1f} GiB" if side.peak else ""
        print(
            f"{name:22} {clock:8.3f} s/update  {np.median(side.processor):8.3f} processor-s/update  "
            f"{audio / clock:8.2f} audio-s/s  {np.mean(side.masked):.0f} masked frames{memory}"
        )
    first, second = times.values()
    clock, processor = (
        np.median(a) / np.median(b) for a, b in ((first.clock, second.clock), (first.processor, second.processor))
    )
    print(f"{clock:.2f} x by the clock, {processor:.2f} x by the processor's time")


def main() -> None:
    """Measure both sides in turn and print a table."""
    from nemo.utils import logging
    from step_meter import measure_matrix_rate

    import nemo_models  # noqa: F401  lets NeMo build this project's classes
    from nemo_models.pretraining_model import XLSRPretrainingModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="mid")
    parser.add_argument("--device", choices=tuple(WARM_UP), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--frozen", action="store_true", help="freeze the convolutions on both sides")
    parser.add_argument("--batch", type=int, default=4, help="utterances in a batch")
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of each utterance")
    parser.add_argument("--updates", type=int, default=4, help="updates that are counted")
    parser.add_argument("--warm-up", type=int, help="updates before these; default 1, on a GPU 8")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    arguments.warm_up = WARM_UP[arguments.device] if arguments.warm_up is None else arguments.warm_up
    logging.setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high" if arguments.device == "cuda" else "highest")
    torch.manual_seed(0)
    np.random.seed(0)
    dtype = getattr(torch, arguments.precision)
    is_mixed = dtype is not torch.float32
    autocast = partial(torch.autocast, arguments.device, dtype=dtype) if is_mixed else nullcontext
    rate = measure_matrix_rate(arguments.device, dtype)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, {arguments.precision}: {rate / 1e12:.2f} TFLOP/s in products of matrices")
    settings = configure(arguments.size, arguments.frozen)
    theirs = make_theirs(settings, arguments.frozen).to(arguments.device)
    ours = XLSRPretrainingModel(cfg=settings).train().to(arguments.device)
    steps = {
        "transformers' script": make_their_step(theirs, settings, autocast),
        "this project": make_our_step(ours, autocast),
    }
    print_table(measure(steps, arguments), arguments)


if __name__ == "__main__":
    main()
