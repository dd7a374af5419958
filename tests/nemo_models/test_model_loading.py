"""Restoring models, and what is said where that cannot be."""

import pytest
import torch

from nemo_models.model_loading import choose_device, load_ctc_model, set_compute_dtype


@pytest.fixture(scope="module")
def saved(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.nemo"
    tiny_model.save_to(str(path))
    return path


def test_restored_model_is_the_saved_one(tiny_model, saved):
    model = load_ctc_model(saved)
    assert not model.training
    signal, length = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)), torch.tensor([8000])
    with torch.inference_mode():
        outputs = [m(input_signal=signal, input_signal_length=length)[0] for m in (tiny_model, model)]
    assert torch.equal(*outputs)


def test_bad_models_are_named_in_one_line(saved, tmp_path, hindi_lm):
    (tmp_path / "text.nemo").write_text("no archive")
    whole = saved.read_bytes()
    (tmp_path / "cut.nemo").write_bytes(whole[: len(whole) // 2])
    cases = [
        ({"model_path": tmp_path / "absent.nemo"}, r"absent\.nemo: no such file"),
        ({"model_path": tmp_path / "text.nemo"}, r"text\.nemo: not a \.nemo file"),
        ({"model_path": tmp_path / "cut.nemo"}, r"cut\.nemo: "),
        ({"model_path": hindi_lm}, "expected a CTC model"),
        ({"model_path": None}, "give either model_path"),
        ({"model_path": saved, "pretrained_name": "x"}, "give either model_path"),
    ]
    for arguments, named in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=named) as error:
            load_ctc_model(**arguments)
        assert "\n" not in str(error.value)


def test_device_follows_nemos_rule(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(choose_device(cuda)) for cuda in (None, 1, -1)] == ["cuda:0", "cuda:1", "cpu"]
    with pytest.raises(ValueError, match="has 2 CUDA devices"):
        choose_device(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(choose_device()) == "cpu"


def test_number_formats(saved):
    model = load_ctc_model(saved)
    assert set_compute_dtype(model) is None
    assert set_compute_dtype(model, amp=True, amp_dtype="bfloat16") is torch.bfloat16
    assert next(model.parameters()).dtype is torch.float32
    assert set_compute_dtype(model, "bfloat16") is torch.bfloat16
    assert next(model.parameters()).dtype is torch.bfloat16
    for options in ({"compute_dtype": "int8"}, {"amp_dtype": "half"}, {"compute_dtype": "bfloat16", "amp": True}):
        with pytest.raises(ValueError, match="dtype"):
            set_compute_dtype(model, **options)


def test_converted_weights_compute(tiny_model, saved):
    """bf16 has 8 bits of mantissa: log-probs of a few units stay within 0.5 of float32's."""
    model = load_ctc_model(saved)
    dtype = set_compute_dtype(model, "bfloat16")
    signal, length = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)), torch.tensor([8000])
    with torch.inference_mode():
        expected = tiny_model(input_signal=signal, input_signal_length=length)[0]
        with torch.autocast("cpu", dtype=dtype):
            found = model(input_signal=signal, input_signal_length=length)[0]
    assert torch.isfinite(found).all()
    assert (found.float() - expected).abs().max() < 0.5
