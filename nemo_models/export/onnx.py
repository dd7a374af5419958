"""Export to one ONNX graph: waveforms in, log-probabilities out, with the front-end inside.

The input `lengths` is optional: without it every sample counts as valid. So the same file serves padded batches and
sherpa-onnx, which gives a single input.

The graph is traced with torch's TorchScript exporter, as in NeMo's `export`: the newer exporter turns the integer
division of frame counts into float32 arithmetic, which is wrong for long audio.
"""

import importlib
import json
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from nemo.core.classes import typecheck
from omegaconf import OmegaConf

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.lm_bundle import LM_KEY
from nemo_models.decoding.strategy import mask_log_probs
from nemo_models.export.probes import largest_difference, pad_waveforms, probe_waveforms, run_model
from nemo_models.files.model_language import LANGUAGES_KEY
from nemo_models.layers.nemo_contract import PretrainedEncoder
from nemo_models.xlsr_encoder import XLSREncoder

if TYPE_CHECKING:
    import onnx

OPSET = 17  # the first with LayerNormalization; ONNX Runtime since 1.12 reads it
EXTERNAL_DATA_LIMIT = 2**31 - 2**20  # bytes; protobuf cannot hold more in one message
INPUTS, OUTPUTS = ("waveforms", "lengths"), ("log_probs", "frames")
BLANK = "<blk>"
# The blank and the space in sherpa-onnx's `tokens.txt`.
SPACE = "▁"


class LogProbGraph(torch.nn.Module):
    """The exported module: preprocessor, encoder, head, and the mask over padding.

    Args:
        model: A model on the CPU, in evaluation mode.
    """

    def __init__(self, model: XLSRCTCModel) -> None:
        super().__init__()
        self.preprocessor, self.encoder, self.decoder = model.preprocessor, model.encoder, model.decoder
        self.shortest = model.encoder.receptive_field()

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute log-probabilities.

        Args:
            waveforms: float32, (B, T), at 16 kHz, any scale.
            lengths: Valid samples of each, int64, (B,); or one negative number, int64, (1,), for all samples.

        Returns:
            float32, (B, T', labels + 1), blank last, with probability 1 beyond each length; valid frames, int64, (B,).
        """
        samples = torch.as_tensor(waveforms.shape[1])
        lengths = torch.where(lengths < 0, samples, torch.minimum(lengths, samples))
        lengths = lengths + waveforms.new_zeros(waveforms.shape[0], dtype=torch.int64)
        missing = torch.clamp(self.shortest - samples, min=0)
        waveforms = torch.nn.functional.pad(waveforms, (0, missing))  # type: ignore[arg-type]
        signal, lengths = self.preprocessor(input_signal=waveforms, length=lengths)
        encoded, frames = self.encoder(audio_signal=signal, length=lengths)
        log_probs = self.decoder(encoder_output=encoded)
        return mask_log_probs(log_probs, frames, blank_id=log_probs.shape[-1] - 1), frames


def require_onnx_packages(with_runtime: bool) -> None:
    """Check that the packages for the export are installed.

    Raises:
        ValueError: A package is missing.
    """
    for name in ("onnx", *(["onnxruntime"] if with_runtime else [])):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ValueError(f"format=onnx: package {name} is missing ({error}); pip install '.[export]'") from error


def write_onnx(
    model: XLSRCTCModel, folder: Path, quantization: str | None = None, source: str = ""
) -> tuple[Path, list[str]]:
    """Write `model.onnx` (or `model.int8.onnx`), `tokens.txt` and `metadata.json`.

    Args:
        model: A model on the CPU, in evaluation mode.
        folder: An empty folder.
        quantization: `int8`: weights of the linear layers, and their inputs at run time; `None`: float32.
        source: The model's name, for the metadata.

    Returns:
        The graph's path; notes for the user, a sentence each.

    Raises:
        ValueError: The encoder is not one of this project's.
    """
    import onnx

    if not isinstance(model.encoder, PretrainedEncoder):
        raise ValueError(
            f"format=onnx: found an encoder of type {type(model.encoder).__name__}, expected wav2vec 2.0 or "
            "Wav2Vec2-BERT; choose a model of this project"
        )
    labels = list(model.decoder.vocabulary)
    path = folder / "model.onnx"
    graph = trace(model, path)
    metadata = _describe(model, labels, quantization, source)
    if quantization == "int8":
        save_onnx(graph, path)
        del graph
        path = _quantize(path, folder / "model.int8.onnx")
        graph = onnx.load(str(path))
    for key, value in metadata.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    save_onnx(graph, path)
    tokens = [SPACE if label == " " else label for label in labels] + [BLANK]
    (folder / "tokens.txt").write_text(
        "".join(f"{token} {index}\n" for index, token in enumerate(tokens)), encoding="utf-8"
    )
    (folder / "metadata.json").write_text(json.dumps(metadata, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    notes = []
    if quantization == "int8":
        notes.append("int8: activations are scaled over a whole batch, so a text may depend on it; run one at a time")
    if metadata.get("normalize") is False:  # Wav2Vec2-BERT's features are the same at any loudness
        notes.append("sherpa-onnx normalises waveforms, and this model was trained without: do not use it there")
    if OmegaConf.select(model.cfg, LM_KEY):
        notes.append("the model's language model is not exported: a graph gives log-probabilities, for greedy decoding")
    return path, notes


def trace(model: XLSRCTCModel, path: Path) -> "onnx.ModelProto":
    """Trace a model into a graph with dynamic batch and time, and an optional `lengths`.

    Args:
        model: A model on the CPU, in evaluation mode.
        path: Scratch file for torch; overwritten.
    """
    import onnx

    dynamic = {"waveforms": {0: "batch", 1: "samples"}, "lengths": {0: "utterances"}}
    dynamic |= {"log_probs": {0: "batch", 1: "time"}, "frames": {0: "batch"}}
    example = pad_waveforms(probe_waveforms())
    with typecheck.disable_checks(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about intended constants, and about the exporter's age
        torch.onnx.export(
            LogProbGraph(model).eval(),
            example,
            str(path),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    for file in path.parent.iterdir():  # beyond 2 GB torch writes one more file for each tensor
        file.unlink()
    graph.graph.initializer.append(onnx.helper.make_tensor("lengths", onnx.TensorProto.INT64, [1], [-1]))
    return graph


def save_onnx(graph: "onnx.ModelProto", path: Path, limit: int = EXTERNAL_DATA_LIMIT) -> None:
    """Write a graph as one file, or, beyond `limit` bytes, with its weights in a second one, `<name>.data`."""
    import onnx

    external = sum(len(tensor.raw_data) for tensor in graph.graph.initializer) > limit
    onnx.save_model(
        graph, str(path), save_as_external_data=external, location=f"{path.name}.data" if external else None
    )


def compare_onnx(model: XLSRCTCModel, path: Path) -> float:
    """Run a graph on noise, each waveform alone and all in a padded batch.

    Returns:
        The largest difference of a log-probability on a valid frame from the model's, natural log; infinite where the
        numbers of frames differ.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warning about the default value of `lengths`, which is intended
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, Sequence[int]]:
        signal, lengths = pad_waveforms(waveforms)
        log_probs, frames = session.run(None, {"waveforms": signal.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(log_probs), frames.tolist()

    return largest_difference(run, partial(run_model, model))


def _quantize(path: Path, target: Path) -> Path:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    external = path.with_name(f"{path.name}.data").exists()
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    quantize_dynamic(
        str(path),
        str(target),
        op_types_to_quantize=["MatMul"],  # convolutions become slower and lose more
        nodes_to_exclude=[node.name for node in nodes if node.name.startswith("/preprocessor/")],
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=True,  # 7 bits: AVX2 adds products of 8 bits in 16 bits, where they overflow
        use_external_data_format=external,
    )
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return target


def _describe(model: XLSRCTCModel, labels: list[str], quantization: str | None, source: str) -> dict[str, Any]:
    front_end: dict[str, Any] = {}
    if isinstance(model.encoder, XLSREncoder):
        config = model.encoder.network.config
        front_end = {
            "conv_kernel": list(config.conv_kernel),
            "conv_stride": list(config.conv_stride),
            "normalize": bool(model.preprocessor.normalize),
            "epsilon": float(model.preprocessor.epsilon),
        }
    return {
        "model": source,
        "sample_rate_hz": int(model.cfg.sample_rate),
        "input": "waveforms float32 (batch, samples), any scale; lengths int64 (batch), optional",
        "output": "log_probs float32 (batch, time, labels + 1), natural log; frames int64 (batch)",
        "labels": labels,
        "blank_id": len(labels),
        "frame_shift_s": float(model.preprocessor.window_stride),
        "shortest_samples": model.encoder.receptive_field(),
        **front_end,
        "normalizer_fingerprint": model.cfg.get("normalizer_fingerprint") or "",
        **({LANGUAGES_KEY: OmegaConf.to_container(model.cfg[LANGUAGES_KEY])} if LANGUAGES_KEY in model.cfg else {}),
        "quantization": quantization or "none",
    }
