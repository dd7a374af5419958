from pathlib import Path

import pytest
import torch

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export import exporting
from nemo_models.export.exporting import export_model, new_folder
from nemo_models.export.probes import TOLERANCE, allowed_difference, pad_waveforms, probe_waveforms


@pytest.fixture(scope="module")
def nemo_file(tiny_model: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nemo") / "tiny.nemo"
    tiny_model.save_to(str(path))
    return path


@pytest.mark.parametrize("format", ["huggingface", "onnx"])
def test_report_names_every_file_and_the_measured_difference(nemo_file: Path, tmp_path: Path, format: str):
    for package in ("onnx", "onnxruntime") if format == "onnx" else ():
        pytest.importorskip(package, reason="needs the extra `export`")
    report = export_model(nemo_file, format, tmp_path / "a" / "b")
    assert report.folder == tmp_path / "a" / "b"
    assert report.files == {path.name: path.stat().st_size for path in report.folder.iterdir()}
    assert report.difference is not None and 0 < report.difference <= 1e-4
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert report.folder.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in report.folder.iterdir())


def test_an_export_that_differs_is_not_written(nemo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for difference in (1.0, float("nan"), float("inf")):
        monkeypatch.setattr(exporting, "compare_huggingface", lambda *_, found=difference: found)
        with pytest.raises(ValueError, match="export differs from the model"):
            export_model(nemo_file, "huggingface", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@torch.no_grad()
def test_a_steep_head_may_differ_by_as_small_a_share_of_its_log_probabilities(tiny_model: XLSRCTCModel):
    layer = tiny_model.decoder.decoder_layers[0]
    weight, allowed = layer.weight.clone(), {}
    signal, lengths = pad_waveforms(probe_waveforms())
    try:
        for factor in (0.01, 100.0):
            layer.weight.copy_(factor * weight)
            log_probs, frames, _ = tiny_model(input_signal=signal, input_signal_length=lengths)
            greatest = max(float(row[:count].abs().max()) for row, count in zip(log_probs, frames, strict=True))
            allowed[greatest] = allowed_difference(tiny_model)
    finally:
        layer.weight.copy_(weight)
    flat, steep = allowed
    assert (allowed[flat], allowed[steep]) == (TOLERANCE, 1e-5 * steep)
    assert flat < 10 < steep


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "x") as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()  # an empty one is taken
    with new_folder(tmp_path / "x") as folder:
        (folder / "inner").mkdir(mode=0o700)
        for path in (folder / "whole", folder / "inner" / "private"):  # as onnx and safetensors leave large files
            path.touch(mode=0o600)
        assert list((tmp_path / "x").iterdir()) == []
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "x").rglob("*")}
    assert modes == {"whole": 0o644, "private": 0o644, "inner": 0o755}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "tflite"}, "format=tflite: expected one of onnx, huggingface"),
        ({"format": "onnx", "quantization": "int4"}, "quantization=int4: expected one of int8, or null"),
        ({"quantization": "int8"}, "it is for format=onnx"),
        ({"format": "onnx", "lm": Path("lm.arpa")}, "a graph holds no language model"),
        ({"lm": Path("nothing.arpa")}, "nothing.arpa: no such file"),
        ({"model_path": Path("nothing.nemo")}, "nothing.nemo: no such file"),
        ({"output_dir": Path(__file__).parent}, "expected a missing or empty folder"),
        ({"output_dir": Path(__file__)}, "expected a missing or empty folder"),
    ],
)
def test_wrong_arguments_are_named_before_any_work(nemo_file: Path, tmp_path: Path, changes: dict, message: str):
    arguments = {"model_path": nemo_file, "format": "huggingface", "output_dir": tmp_path / "x", **changes}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        export_model(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_probes_are_the_same_each_time():
    from nemo_models.export.probes import probe_waveforms

    for first, second in zip(probe_waveforms(), probe_waveforms(), strict=True):
        assert torch.equal(first, second)
