"""Cost of exporting a model of XLSR-53's size, and a check that ONNX Runtime gives PyTorch's output at that size.

Usage: python scripts/benchmarks/export.py WORK_FOLDER [huggingface|onnx|int8 …]

Makes a random model of XLSR-53's size in WORK_FOLDER (1.3 GB) and writes it in each form, each in a separate process.
Prints the seconds for the form, its files and their bytes, and the peak of resident memory above that of the libraries
(as a multiple of the model). Then both run with one thread on the same 5 s of noise, alone and padded; printed are the
greatest difference of a log-probability, the number of frames with the same best label, and the CPU seconds of both.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from side_process import ROOT, peak_bytes

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
FORMS = ("huggingface", "onnx", "int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="WORK_FOLDER")
    parser.add_argument("forms", nargs="*", default=FORMS, metavar="FORM")
    arguments = parser.parse_args()
    if unknown := set(arguments.forms) - set(FORMS):
        parser.error(f"FORM={','.join(sorted(unknown))}: expected any of {', '.join(FORMS)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for step, form in (("make", ""), *(("write", form) for form in arguments.forms)):
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import export as b; "
        code += f"b.{step}_step({str(arguments.folder)!r}, {form!r})"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout.splitlines()[-1], flush=True)


def make_step(folder: str, _: str) -> None:
    """Save the model, unless it is there."""
    import torch

    from data_prep.text.alphabet import load_alphabet
    from family import MEMBERS
    from nemo_models.checkpoints.model_building import model_config
    from nemo_models.ctc_model import XLSRCTCModel

    path = Path(folder) / "random.nemo"
    if not path.exists():
        torch.manual_seed(0)
        architecture = MEMBERS["wav2vec2-large-xlsr-53"]["architecture"]
        model = XLSRCTCModel(cfg=model_config(architecture, load_alphabet(), normalize=True, epsilon=1e-5))
        torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.1)  # log-probs that differ between frames
        model.save_to(str(path))
    print(json.dumps({"nemo_bytes": path.stat().st_size}))


def write_step(folder: str, form: str) -> None:
    """Write one form, run it, and compare."""
    import nemo_models  # noqa: F401  the libraries' own memory is what is there after this
    from nemo_models.export.exporting import new_folder
    from nemo_models.export.huggingface import write_huggingface
    from nemo_models.export.onnx import write_onnx
    from nemo_models.inference.model_loading import load_ctc_model

    if form != "huggingface":
        import onnxruntime.quantization  # noqa: F401

    libraries = peak_bytes()
    nemo_file, target = Path(folder) / "random.nemo", Path(folder) / form
    model = load_ctc_model(nemo_file)
    restored, began = peak_bytes(), time.perf_counter()
    with new_folder(target) as partial:
        if form == "huggingface":
            write_huggingface(model, partial)
        else:
            write_onnx(model, partial, "int8" if form == "int8" else None)
    seconds = time.perf_counter() - began
    size = nemo_file.stat().st_size
    row = {
        "form": form,
        "seconds": round(seconds, 1),
        "files": {path.name: path.stat().st_size for path in sorted(target.iterdir())},
        "peak_restored_over_model": round((restored - libraries) / size, 2),
        "peak_over_model": round((peak_bytes() - libraries) / size, 2),
        **compare(model, target, form),
    }
    for path in target.iterdir():
        path.unlink()
    target.rmdir()
    print(json.dumps(row))


def compare(model, target: Path, form: str) -> dict[str, object]:
    """Run model and export on noise of 5 s alone and of 5 and 3.3 s padded."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    run = open_huggingface(target) if form == "huggingface" else open_onnx(next(target.glob("*.onnx")))
    noise = np.random.default_rng(0).normal(scale=0.3, size=(2, 80_000)).astype(np.float32)
    worst, same, frames_total, spent = 0.0, 0, 0, {"torch_cpu_s": 0.0, "export_cpu_s": 0.0}
    for batch in ([noise[0]], [noise[0], noise[1, :52_800]]):
        lengths = torch.tensor([len(wave) for wave in batch])
        signal = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in batch], batch_first=True)
        began = time.process_time()
        with torch.inference_mode():
            expected, counts, _ = model(input_signal=signal, input_signal_length=lengths)
        spent["torch_cpu_s"] += time.process_time() - began
        began = time.process_time()
        found = run(batch, signal, lengths)
        spent["export_cpu_s"] += time.process_time() - began
        for ours, theirs, count in zip(expected.numpy(), found, counts.tolist(), strict=True):
            worst = max(worst, float(abs(ours[:count] - theirs[:count]).max()))
            same += int((ours[:count].argmax(-1) == theirs[:count].argmax(-1)).sum())
            frames_total += count
    spent = {name: round(value, 1) for name, value in spent.items()}
    return {
        "greatest_difference": float(f"{worst:.2g}"),
        "same_best_label": f"{same} of {frames_total} frames",
        **spent,
    }


def open_onnx(path: Path):
    """An ONNX graph as a function of a padded batch; with one thread, as PyTorch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda _, signal, lengths: session.run(None, {"waveforms": signal.numpy(), "lengths": lengths.numpy()})[0]


def open_huggingface(folder: Path):
    """A Hugging Face folder as a function of waveforms; louder, so that its epsilon is the model's (see the export)."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForCTC

    network, extractor = AutoModelForCTC.from_pretrained(folder).eval(), AutoFeatureExtractor.from_pretrained(folder)

    def run(batch, _signal, _lengths):
        inputs = extractor([0.1 * wave for wave in batch], sampling_rate=16000, padding=True, return_tensors="pt")
        with torch.inference_mode():
            return network(**inputs).logits.log_softmax(-1).numpy()

    return run


if __name__ == "__main__":
    main()
