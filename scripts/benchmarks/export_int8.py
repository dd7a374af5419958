"""Accuracy and speed of int8: PyTorch, ONNX Runtime float32 and int8 on one manifest, with greedy decoding.

python scripts/benchmarks/export_int8.py model.nemo test_manifest.json [utterances]
"""

import sys
import tempfile
import time
from pathlib import Path

import jiwer
import onnxruntime
import soundfile
import torch

from data_prep.manifest import read_manifest, resolve_audio_path
from nemo_models.export.onnx import write_onnx
from nemo_models.inference.model_loading import load_ctc_model


def open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    model_path, manifest, *most = sys.argv[1:]
    torch.set_num_threads(1)
    model = load_ctc_model(Path(model_path))
    rows = read_manifest(manifest)[: int(most[0]) if most else None]
    waves = [soundfile.read(resolve_audio_path(row["audio_filepath"], manifest), dtype="float32")[0] for row in rows]
    references = [row["text"] for row in rows]

    def in_torch(wave):
        signal, length = torch.from_numpy(wave)[None], torch.tensor([len(wave)])
        with torch.inference_mode():
            return model(input_signal=signal, input_signal_length=length)[:2]

    with tempfile.TemporaryDirectory() as folder:
        runs, sizes = {"torch": in_torch}, {"torch": Path(model_path).stat().st_size}
        for name, quantization in (("onnx float32", None), ("onnx int8", "int8")):
            target = Path(folder) / name
            target.mkdir()
            path, _ = write_onnx(model, target, quantization)
            session = open_session(path)
            runs[name] = lambda wave, session=session: map(
                torch.from_numpy, session.run(None, {"waveforms": wave[None]})
            )
            sizes[name] = path.stat().st_size
        texts = {}
        for name, run in runs.items():
            began, texts[name] = time.process_time(), []
            for wave in waves:
                log_probs, frames = run(wave)
                texts[name].append(model.decoding.ctc_decoder_predictions_tensor(log_probs, frames)[0].text)
            seconds = time.process_time() - began
            hypotheses = [" ".join(text.split()) for text in texts[name]]
            wer, cer = 100 * jiwer.wer(references, hypotheses), 100 * jiwer.cer(references, hypotheses)
            same = sum(a == b for a, b in zip(texts[name], texts["torch"], strict=True))
            print(
                f"{name}: {sizes[name]:,} bytes, WER {wer:.2f} CER {cer:.2f}, {same} of {len(waves)} texts as torch's, "
                f"{seconds:.1f} s of CPU for {sum(map(len, waves)) / 16000:.0f} s of audio"
            )


if __name__ == "__main__":
    main()
