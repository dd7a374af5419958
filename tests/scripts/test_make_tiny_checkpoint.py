"""scripts/make_tiny_checkpoint.py as a user runs it, on a few seconds of noise and for three updates."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from transformers import Wav2Vec2Model

from project import ROOT
from warm_python import WarmPython

SMALL = (
    *("model.conv_dim=[8,8,8,8,8,8,8]", "model.hidden_size=32", "model.num_hidden_layers=1", "max_steps=3"),
    *("model.num_attention_heads=2", "model.intermediate_size=32", "batch_seconds=2", "warmup_steps=1"),
)


def write_corpus(folder: Path) -> Path:
    (folder / "audio").mkdir(parents=True)
    rows = ["path\tduration_s\tsample_rate\tspeaker\ttext"]
    for number in range(6):
        wave = np.random.default_rng(number).normal(scale=0.1, size=16000)
        soundfile.write(folder / "audio" / f"{number}.wav", wave, 16000)
        rows.append(f"audio/{number}.wav\t1.0\t16000\tnoise\tवह घर गया")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


SCRIPT = ROOT / "scripts/make_tiny_checkpoint.py"


def test_training_leaves_a_log_and_a_checkpoint(tmp_path: Path, warm_python: WarmPython):
    corpus = write_corpus(tmp_path / "corpus")
    done = warm_python.run(
        *(SCRIPT, *SMALL, f"train_corpora=[{corpus}]", f"valid_corpora=[{corpus}]"),
        *(f"work_dir={tmp_path / 'work'}", f"output_dir={tmp_path / 'out'}"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (row,) = (json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines())
    assert row["step"] == 3 and np.isfinite(row["loss"]) and set(row["corpus"]) == {"cer", "wer"}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json"}
    result: Any = Wav2Vec2Model.from_pretrained(tmp_path / "out", output_loading_info=True)
    network, loaded = result
    assert not any(loaded.values()), loaded  # transformers finds every weight, and knows each one
    assert (network.config.hidden_size, network.config.num_hidden_layers, network.config.conv_dim[0]) == (32, 1, 8)
    assert all(bool(weight.isfinite().all()) for weight in network.parameters())


def test_a_corpus_that_is_not_there_gets_one_line(tmp_path: Path, warm_python: WarmPython):
    missing = tmp_path / "nothing"
    settings = (f"train_corpora=[{missing}]", f"valid_corpora=[{missing}]", f"work_dir={tmp_path / 'work'}")
    done = warm_python.run(SCRIPT, *SMALL, *settings, folder=tmp_path)
    assert done.returncode == 1
    assert str(missing) in done.stderr and "Traceback" not in done.stderr
