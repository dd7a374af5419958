"""The trainer that a configuration describes."""

import logging

import pytest

from nemo_models.inference import processor
from nemo_models.training.finetuning import build_trainer
from recipe import load_recipe


@pytest.mark.parametrize(
    ("features", "precision", "warned"),
    [("avx2", "bf16-mixed", True), ("avx2", "32-true", False), ("avx2 avx512_bf16", "bf16-mixed", False)],
    ids=["emulated", "float32", "native"],
)
def test_bfloat16_on_a_processor_without_it_is_warned_of(monkeypatch, caplog, features, precision, warned):
    monkeypatch.setattr(processor, "_read_features", lambda: frozenset(features.split()))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    cfg = load_recipe("xlsr_hi", f"trainer.precision={precision}", "trainer.accelerator=cpu", "trainer.devices=1")
    with caplog.at_level(logging.WARNING, "nemo_models.training.finetuning"):
        build_trainer(cfg)
    messages = [row.getMessage() for row in caplog.records if row.name == "nemo_models.training.finetuning"]
    assert bool(messages) == warned
    assert all("this processor emulates bfloat16" in message for message in messages)
