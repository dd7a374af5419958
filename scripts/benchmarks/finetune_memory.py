"""Memory of a fine-tuning step of XLSR-53's size, and what fits on a card of 8, 16, 24 or 80 GB.

    python scripts/benchmarks/finetune_memory.py [--device cpu|cuda] [--precision bf16-mixed|32-true]
        [--seconds 15 30 60]

Each way to train runs in its own process, with the model of conf/xlsr_hi.yaml, random weights, utterances of 15 s, and
three batch sizes. The script prints the peaks: on CUDA the reserved memory, on a CPU the resident memory beyond that of
the imported libraries. From the line through the larger two batches it computes the seconds of audio that fit on each
card. A small batch does not show this, because the peak is then in the optimizer's step and not in the activations: the
smallest batch only shows its distance from the line. Values beyond the largest batch are extrapolated. Figures of a CPU
do not include a GPU's kernels and workspaces.
"""

import argparse
import json
import sys
from typing import Any

from side_process import ROOT, peak_bytes, run_side

sys.path.insert(0, str(ROOT))

WAYS = {
    "all weights": (),
    "all weights, checkpointing": ("model.encoder.gradient_checkpointing=true",),
    "LoRA r=16": ("model.lora.r=16",),
    "LoRA r=16, checkpointing": ("model.lora.r=16", "model.encoder.gradient_checkpointing=true"),
}
CARDS_GB = (8, 16, 24, 80)
USABLE = 0.92  # share of a card; the driver, the CUDA context and fragmentation take the rest
UTTERANCE_S = 15  # a long utterance: one in a hundred is longer than 20 s
LABELS_PER_S = 12  # labels in a second of speech
RATE_HZ = 16000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["bf16-mixed", "32-true"], default="bf16-mixed")
    parser.add_argument(
        "--seconds", type=int, nargs=3, default=[15, 30, 60], help="seconds of audio in a batch, ascending"
    )
    parser.add_argument("--way", choices=list(WAYS), help="run this one only and print its peaks in bytes as JSON")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.device, arguments.precision, arguments.seconds)))
        return
    few, some, many = arguments.seconds
    peaks_at = " | ".join(f"GB at {seconds} s" for seconds in arguments.seconds)
    cards = " | ".join(f"s in {card} GB" for card in CARDS_GB)
    print(f"{arguments.device}, {arguments.precision}\n| way | {peaks_at} | off the line at {few} s | {cards} |")
    for way in WAYS:
        given = ["--device", arguments.device, "--precision", arguments.precision, "--seconds", *arguments.seconds]
        peaks = [peak / 1e9 for peak in run_side(__file__, [*given, "--way", way])]
        slope = (peaks[2] - peaks[1]) / (many - some)
        off = peaks[0] - (peaks[1] - slope * (some - few))
        room = [max(0, int(many + (card * USABLE - peaks[2]) / slope)) if slope > 0 else 0 for card in CARDS_GB]
        cells = [*(f"{peak:.2f}" for peak in peaks), f"{off:+.2f}", *map(str, room)]
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def measure(way: str, device: str, precision: str, seconds: list[int]) -> list[int]:
    """Measure the peak memory of a training step in bytes, for each batch size in turn."""
    import torch

    model, optimizer = build(way, device)
    before = 0 if device == "cuda" else model.resident_before
    peaks = []
    for step, size in enumerate([seconds[0], *seconds]):  # the first one creates the optimizer's state
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        train_step(model, optimizer, size, device, precision)
        if step:
            peaks.append(
                torch.cuda.max_memory_reserved() if device == "cuda" else peak_bytes() - before  # it only grows
            )
    return peaks


def build(way: str, device: str) -> tuple[Any, Any]:
    """Build the recipe's model for a way to train, and its optimizer."""
    import torch
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.ctc_model import XLSRCTCModel
    from nemo_models.layers.lora import add_lora

    resident = peak_bytes()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("xlsr_hi", overrides=["init_from_checkpoint=null", "exp_manager.exp_dir=x", *WAYS[way]]).model
    cfg.labels, cfg.train_ds, cfg.validation_ds = load_alphabet(), None, None
    torch.manual_seed(0)
    model = XLSRCTCModel(cfg=cfg)
    add_lora(model.encoder.network, cfg.lora)
    model.resident_before = resident
    model.to(device).train()
    constant = {key: value for key, value in cfg.optim.items() if key != "sched"}
    optimizer, _ = model.setup_optimization(OmegaConf.create(constant))
    return model, optimizer


def train_step(model: Any, optimizer: Any, seconds: int, device: str, precision: str) -> None:
    """Make one update on noise."""
    import torch

    rows, utterance_s = max(1, seconds // UTTERANCE_S), min(seconds, UTTERANCE_S)
    signal = torch.randn(rows, utterance_s * RATE_HZ, device=device)
    lengths = torch.full((rows,), signal.shape[1], device=device)
    targets = torch.randint(len(model.cfg.labels), (rows, utterance_s * LABELS_PER_S), device=device)
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
        log_probs, frames, _ = model(input_signal=signal, input_signal_length=lengths)
    loss = model.loss(
        log_probs=log_probs.float(),
        targets=targets,
        input_lengths=frames,
        target_lengths=torch.full((rows,), targets.shape[1], device=device),
    )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    main()
