import sys

import pytest

from nemo_models.inference import processor

ZEN_4 = "fpu avx avx2 avx512f avx512_vnni avx512_bf16"
ZEN_3 = "fpu avx avx2"
SAPPHIRE_RAPIDS = "fpu avx avx2 avx512f avx512_vnni avx512_bf16 amx_int8 amx_bf16"
GRAVITON_3 = "fp asimd i8mm bf16"
RASPBERRY_PI = "fp asimd"


@pytest.fixture
def set_processor(tmp_path, monkeypatch):
    def set_to(features: str, machine: str, key: str) -> None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{key}\t: {features}\nprocessor : 1\n{key}\t: {features}\n")
        monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
        monkeypatch.setattr(processor.platform, "machine", lambda: machine)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        processor._read_features.cache_clear()

    yield set_to
    processor._read_features.cache_clear()


@pytest.mark.parametrize(
    ("features", "machine", "key", "fast"),
    [
        (ZEN_4, "x86_64", "flags", ("float32", "bfloat16", "int8")),
        (ZEN_3, "x86_64", "flags", ("float32", "int8")),
        (SAPPHIRE_RAPIDS, "x86_64", "flags", ("float32", "bfloat16", "int8")),
        (GRAVITON_3, "aarch64", "Features", ("float32", "bfloat16")),
        (RASPBERRY_PI, "aarch64", "Features", ("float32",)),
    ],
    ids=["zen4", "zen3", "sapphire rapids", "graviton3", "raspberry pi"],
)
def test_fast_formats_follow_the_processor(set_processor, features, machine, key, fast):
    set_processor(features, machine, key)
    assert processor.fast_formats() == fast
    assert processor.describe_formats().startswith(f"fast on this processor: {', '.join(fast)}")
    for name in ("float32", "bfloat16", "int8"):
        assert (processor.warn_of_slow_format("compute_dtype", name) is None) == (name in fast)


def test_onednns_limit_makes_a_lesser_processor(set_processor, monkeypatch):
    set_processor(ZEN_4, "x86_64", "flags")
    assert processor.has_int8_dot_product()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert processor.fast_formats() == ("float32", "int8")
    assert not processor.has_int8_dot_product()


def test_nothing_but_float32_is_called_fast_where_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    processor._read_features.cache_clear()
    assert processor.fast_formats() == ("float32",)
    processor._read_features.cache_clear()


def test_this_machine_agrees_with_torch():
    torch_cpu = pytest.importorskip("torch").cpu
    if not sys.platform.startswith("linux") or not hasattr(torch_cpu, "get_capabilities"):
        pytest.skip("needs Linux and a torch that lists the processor's features")
    for name in ("avx2", "avx512_vnni", "avx512_bf16"):
        assert torch_cpu.get_capabilities().get(name, False) == (name in processor._read_features()), name
