"""Restoring models, and the messages where that fails."""

import io
import os
import tarfile

import pytest
import torch

from nemo_models.inference import model_loading, processor
from nemo_models.inference.model_loading import choose_device, choose_number_format, load_ctc_model, set_compute_dtype
from nemo_models.inference.processor import has_int8


@pytest.fixture(scope="module")
def saved(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.nemo"
    tiny_model.save_to(str(path))
    return path


def test_restored_model_is_the_saved_one(tiny_model, saved):
    model = load_ctc_model(saved)
    assert not model.training
    expected = tiny_model.state_dict()
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in expected.items()
    }
    torch.testing.assert_close(_log_probs(model), _log_probs(tiny_model), rtol=0, atol=1e-4)  # the order of sums


def test_weights_stored_in_half_precision_are_restored_in_the_models_own(saved, tmp_path):
    halved = load_ctc_model(saved).half()
    halved.save_to(str(tmp_path / "half.nemo"))
    restored = load_ctc_model(tmp_path / "half.nemo").state_dict()
    for name, weight in halved.state_dict().items():
        assert torch.equal(restored[name], weight.float()) and restored[name].dtype == torch.float32, name


def test_bad_models_are_named_in_one_line(saved, tmp_path, hindi_lm):
    (tmp_path / "text.nemo").write_text("no archive")
    whole = saved.read_bytes()
    (tmp_path / "cut.nemo").write_bytes(whole[: len(whole) // 2])
    cases = [
        ({"model_path": tmp_path / "absent.nemo"}, r"absent\.nemo: no such file"),
        ({"model_path": tmp_path / "text.nemo"}, r"text\.nemo: expected a \.nemo file"),
        ({"model_path": tmp_path / "cut.nemo"}, r"cut\.nemo: "),
        ({"model_path": hindi_lm}, "expected a CTC model"),
        ({"model_path": None}, "expected one of them; give model_path"),
        ({"model_path": saved, "pretrained_name": "x"}, "expected one of them; give model_path"),
    ]
    for arguments, named in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=named) as error:
            load_ctc_model(**arguments)
        assert "\n" not in str(error.value)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("it_ran",)


def _change_member(path, target, member, change):
    """Copy a `.nemo` with the bytes of one of its files changed."""
    with tarfile.open(path) as old, tarfile.open(target, "w:") as new:
        for info in old.getmembers():
            if info.isfile():
                content = old.extractfile(info).read()
                content = change(content) if info.name.endswith(member) else content
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))


def _pickled(_):
    stream = io.BytesIO()
    torch.save({"x": Hostile()}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        ("weights.ckpt", _pickled, r"its weights are refused, it names (posix|nt)\.mkdir"),
        ("weights.ckpt", lambda content: content[:5000], "NeMo cannot restore"),
        ("config.yaml", lambda text: text.replace(b"mask_padding:", b"surprise:"), "invalid value in .*'surprise'"),
        ("config.yaml", lambda text: text.replace(b"conv_dim:", b"conv_tim:"), "invalid value in .*missing.*conv_dim"),
        ("config.yaml", lambda text: text.replace(b"encoder:", b"other:", 1), "invalid value in .*encoder"),
    ],
    ids=["code", "cut", "unknown key", "missing key", "no encoder"],
)
def test_what_is_wrong_inside_a_file_is_said_in_one_line_with_its_name(
    saved, tmp_path, monkeypatch, capfd, member, change, message
):
    monkeypatch.chdir(tmp_path)
    _change_member(saved, tmp_path / "x.nemo", member, change)
    with pytest.raises(ValueError, match=rf"x\.nemo: .*{message}") as error:
        load_ctc_model(tmp_path / "x.nemo")
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value)
    assert not (tmp_path / "it_ran").exists()
    assert "Traceback" not in "".join(capfd.readouterr())


def test_device_follows_nemos_rule(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(choose_device(cuda)) for cuda in (None, 1, -1)] == ["cuda:0", "cuda:1", "cpu"]
    with pytest.raises(ValueError, match="expected a device below 2"):
        choose_device(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(choose_device()) == "cpu"


NOISE = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)), torch.tensor([8000])


def _log_probs(model, autocast_dtype=None):
    autocast = torch.autocast("cpu", dtype=autocast_dtype, enabled=autocast_dtype is not None)
    with torch.inference_mode(), autocast:
        return model(input_signal=NOISE[0], input_signal_length=NOISE[1])[0].float()


# log-probs of a few units: float32 differs by the order of its sums, bfloat16 (8 bits) and int8 by less than 0.5
@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.5), ("int8", 0.5)])
def test_formats_of_the_cpu_compute_and_are_named(tiny_model, saved, name, tolerance):
    if name == "int8" and not has_int8():
        pytest.skip("int8 needs an x86-64 processor with AVX2")
    model = load_ctc_model(saved)
    assert set_compute_dtype(model, name) is None
    assert model.encoder.number_format == name
    assert (_log_probs(model) - _log_probs(tiny_model)).abs().max() < tolerance


def test_without_a_wish_the_text_is_that_of_float32(tiny_model, saved):
    model = load_ctc_model(saved)
    assert choose_number_format(model) == "float32"
    set_compute_dtype(model)
    assert (_log_probs(model) - _log_probs(tiny_model)).abs().max() < 1e-4  # the order of sums


def test_amp_leaves_the_weights(tiny_model, saved):
    model = load_ctc_model(saved)
    assert set_compute_dtype(model, amp=True, amp_dtype="bfloat16") is torch.bfloat16
    assert next(model.encoder.parameters()).dtype is torch.float32
    found = _log_probs(model, torch.bfloat16)
    assert torch.isfinite(found).all() and (found - _log_probs(tiny_model)).abs().max() < 0.5  # as bfloat16 above


def test_an_encoder_of_another_kind_has_its_weights_converted(saved, monkeypatch):
    model = load_ctc_model(saved)
    model.encoder.mask_padding = False  # as wav2vec2-base's
    assert set_compute_dtype(model, "bfloat16") is torch.bfloat16
    assert next(model.encoder.parameters()).dtype is torch.bfloat16
    assert torch.isfinite(_log_probs(model, torch.bfloat16)).all()
    for limit in ("", "SSE41"):  # on any processor, the model is the reason
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        with pytest.raises(ValueError, match="compute_dtype=int8: expected an encoder with XLSR-53's topology"):
            set_compute_dtype(model, "int8")


@pytest.mark.parametrize(("limit", "warned"), [("AVX2", ["bfloat16", "float16"]), ("AVX512_CORE_BF16", ["float16"])])
def test_a_format_that_is_slow_on_the_processor_is_warned_of(saved, monkeypatch, caplog, limit, warned):
    every_feature = frozenset().union(*processor.ISA_FEATURES.values())
    monkeypatch.setattr(processor, "_read_features", lambda: every_feature)
    monkeypatch.setattr(processor, "is_x86", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    model = load_ctc_model(saved)
    for name in ("float32", "bfloat16", "float16", "int8"):
        choose_number_format(model, name)
    set_compute_dtype(model, amp=True, amp_dtype="bfloat16")
    amp_warned = [f"amp_dtype={name}" for name in warned if name == "bfloat16"]
    assert [row.getMessage().split(":")[0] for row in caplog.records if row.name == model_loading.__name__] == [
        *(f"compute_dtype={name}" for name in warned),
        *amp_warned,
    ]


def test_formats_that_cannot_be_are_named(saved):
    model = load_ctc_model(saved)
    for options in ({"compute_dtype": "int4"}, {"amp_dtype": "half"}, {"compute_dtype": "bfloat16", "amp": True}):
        with pytest.raises(ValueError, match="dtype"):
            set_compute_dtype(model, **options)
