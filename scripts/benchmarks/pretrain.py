"""Speed of a pre-training step: this project beside transformers' logic, at equal batches, on one device.

transformers' side does what `run_wav2vec2_pretraining_no_trainer.py` does for each update: its collator's masks and
negatives (`_compute_mask_indices`, `_sample_negative_indices`), `Wav2Vec2ForPreTraining` forward and backward, the
division of the gradients by the masked frames, the norm of the gradient, and AdamW. Both sides have the same random
weights, waveforms, amount of masking and number of negatives; the sides alternate, and the first update of each is not
counted. Times include the drawing of masks and negatives on both sides, but not the reading of files. Wall-clock time
and CPU time are printed; with `--threads 1`, CPU time hardly depends on other programs.

    python scripts/benchmarks/pretrain.py [--size mid|xlsr53|tiny] [--frozen] [--batch 4] [--seconds 8] [--updates 4]
"""

import argparse
import sys
import time
from collections.abc import Callable
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


def make_their_step(model: Any, settings: Any) -> Callable[[torch.Tensor], int]:
    """Return one update as in transformers' script; it returns the masked frames."""
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=LEARNING_RATE)

    def step(signal: torch.Tensor) -> int:
        frames = int(model._get_feat_extract_output_lengths(torch.tensor(signal.shape[1])))
        shape = (len(signal), frames)
        mask = _compute_mask_indices(shape, settings.encoder.mask_time_prob, settings.encoder.mask_time_length)
        negatives = _sample_negative_indices(shape, model.config.num_negatives, mask_time_indices=mask)
        output = model(
            signal,
            attention_mask=torch.ones_like(signal, dtype=torch.long),
            mask_time_indices=torch.from_numpy(mask),
            sampled_negative_indices=torch.from_numpy(negatives).long(),
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


def make_our_step(model: Any) -> Callable[[torch.Tensor], int]:
    """Return one update as the trainer makes it; it returns the masked frames."""
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=LEARNING_RATE, fused=True
    )

    def step(signal: torch.Tensor) -> int:
        output = model.compute_loss(signal, torch.full((len(signal),), signal.shape[1]))
        output.loss.backward()
        found = [weight.grad for weight in model.parameters() if weight.grad is not None]
        for gradient in found:
            gradient.mul_(1 / output.masked)
        torch.nn.utils.get_total_norm(found)
        optimizer.step()
        optimizer.zero_grad()
        return int(output.masked)

    return step


def main() -> None:
    """Measure both sides in turn and print a table."""
    from nemo.utils import logging

    import nemo_models  # noqa: F401  lets NeMo build this project's classes
    from nemo_models.pretraining_model import XLSRPretrainingModel

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="mid")
    parser.add_argument("--frozen", action="store_true", help="freeze the convolutions on both sides")
    parser.add_argument("--batch", type=int, default=4, help="utterances in a batch")
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of each utterance")
    parser.add_argument("--updates", type=int, default=4, help="updates that are counted")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    logging.setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    np.random.seed(0)
    settings = configure(arguments.size, arguments.frozen)
    theirs = make_theirs(settings, arguments.frozen)
    ours = XLSRPretrainingModel(cfg=settings).train()
    steps = {
        "transformers' script": make_their_step(theirs, settings),
        "this project": make_our_step(ours),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    masked: dict[str, int] = dict.fromkeys(steps, 0)
    samples = round(arguments.seconds * SAMPLE_RATE_HZ)
    for update in range(arguments.updates + 1):
        signal = torch.randn(arguments.batch, samples)
        for name, step in steps.items():
            began = time.perf_counter(), time.process_time()
            masked[name] += step(signal)
            taken = time.perf_counter() - began[0], time.process_time() - began[1]
            print(f"update {update}, {name}: {taken[0]:.2f} s, processor {taken[1]:.2f} s", flush=True)
            if update:
                times[name].append(taken)
    audio = arguments.batch * arguments.seconds
    medians = {name: np.median(values, axis=0) for name, values in times.items()}
    for name, (clock, processor) in medians.items():
        per_update = masked[name] / (arguments.updates + 1)
        print(
            f"{name:22} {clock:7.2f} s/update  {processor:7.2f} processor-s/update  {audio / clock:6.2f} audio-s/s  "
            f"{per_update:.0f} masked frames"
        )
    first, second = medians.values()
    print(f"{first[0] / second[0]:.2f} x by the clock, {first[1] / second[1]:.2f} x by the processor's time")


if __name__ == "__main__":
    main()
