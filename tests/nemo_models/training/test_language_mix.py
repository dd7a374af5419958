"""Training on several languages: how often each is heard, that it resumes exactly, and its error rates."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from data_prep.manifest import write_jsonl
from data_prep.prepare.shard_formats import describe_cut, encode_rows
from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.training.language_mix import arrange_languages
from nemo_models.training.sources import Source
from nemo_models.training_data.stream import StreamPosition
from training_job import SETTINGS, compose, run_job

TEXTS = {"hi": "आज मौसम", "ta": "நல்ல", "bn": "ভাল"}
ROWS = {"hi": 18, "ta": 2, "bn": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of noise for each row, and a manifest for each language and set."""
    folder = tmp_path_factory.mktemp("languages")
    for code, count in ROWS.items():
        rows = []
        for number in range(count + 2):
            name = f"{code}{number}.wav"
            noise = np.random.default_rng([len(rows), *code.encode()]).normal(scale=0.1, size=16000)
            soundfile.write(folder / name, noise, 16000)
            lang = {} if code == "hi" else {"lang": code}
            rows.append({"audio_filepath": name, "duration": 1.0, "text": TEXTS[code], **lang})
        write_jsonl(folder / f"{code}.json", rows[:count])
        write_jsonl(folder / f"{code}_valid.json", rows[count:])
    return folder


def list_files(folder: Path, ending: str = "", codes: str = "hi,ta,bn") -> str:
    return f"[{','.join(str(folder / f'{code}{ending}.json') for code in codes.split(','))}]"


def settings_of(folder: Path, **changes: object) -> dict[str, object]:
    named = {
        "language": '"hi,ta,bn"',
        "model.train_ds.manifest_filepath": list_files(folder),
        "model.validation_ds.manifest_filepath": list_files(folder, "_valid"),
        "exp_manager.exp_dir": str(folder / "exp"),
    }
    return {**named, **changes}


def arrange(folder: Path, **changes: object):
    cfg = compose([f"{key}={value}" for key, value in {**SETTINGS, **settings_of(folder, **changes)}.items()])
    cfg.model.labels = load_alphabet(language="hi,ta,bn")
    arrange_languages(cfg)
    return cfg


def test_nemo_is_told_the_hours_and_the_exponent(folder: Path):
    train = arrange(folder).model.train_ds
    assert [round(3600 * group.weight) for group in train.input_cfg] == list(ROWS.values())
    assert [group.input_cfg[0].manifest_filepath for group in train.input_cfg] == list(train.manifest_filepath)
    assert train.reweight_temperature == [0.5, 1.0]
    assert arrange(folder, language_exponent=1).model.train_ds.get("input_cfg") is None
    validation = arrange(folder).model.validation_ds
    assert validation.return_sample_id and validation.manifest_filepath == list_files(folder, "_valid")[1:-1]


def test_one_language_is_arranged_as_before(folder: Path):
    cfg = compose([f"{key}={value}" for key, value in {**SETTINGS, **settings_of(folder, language="hi")}.items()])
    before = OmegaConf.to_container(cfg)
    arrange_languages(cfg)
    assert OmegaConf.to_container(cfg) == before


def test_unfit_data_is_one_clear_line(folder: Path):
    mixed = folder / "mixed.json"
    mixed.write_text((folder / "hi.json").read_text() + (folder / "ta.json").read_text(), encoding="utf-8")
    key = "model.train_ds.manifest_filepath"
    with pytest.raises(ValueError, match=r"mixed\.json: found rows of hi and ta, expected one language in a manifest"):
        arrange(folder, **{key: f"[{mixed}]"})
    with pytest.raises(ValueError, match=r"language=hi,ta,bn: found no row of bn in model\.train_ds, expected some of"):
        arrange(folder, **{key: list_files(folder, codes="hi,ta")})
    with pytest.raises(ValueError, match="language_exponent=2: expected a number"):
        arrange(folder, language_exponent=2)
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such manifest"):
        arrange(folder, **{key: f"[{folder / 'none.json'}]"})


def test_cuts_keep_the_language_of_their_row(tmp_path: Path):
    rows = [{"text": "நல்ல", "lang": "ta"}, {"text": "आज"}]
    cuts = [describe_cut(f"u{number}", row, 16000) for number, row in enumerate(rows)]
    cuts[1]["supervisions"][0]["speaker"] = "s"
    cuts.append({**cuts[0], "supervisions": [{"text": "hello", "language": "Klingon"}]})  # of other tools
    (tmp_path / "cuts.000000.jsonl").write_bytes(encode_rows(cuts, compress=False))
    assert [row.get("lang") for row in Source(tmp_path / "cuts.000000.jsonl").read()] == ["ta", None, None]
    assert [cut["supervisions"][0]["language"] for cut in cuts] == ["ta", "hi", "Klingon"]


def open_stream(folder: Path, **changes: object):
    return XLSRCTCModel(cfg=arrange(folder, **changes).model)._train_dl


def languages_of(batches: list) -> Counter:
    return Counter(Path(name).name[:2] for batch in batches for name in batch[4].names)


@pytest.mark.slow
def test_an_utterance_is_of_a_language_with_the_published_probability(folder: Path):
    heard = languages_of(list(islice(open_stream(folder), 200)))
    powers = {code: hours**0.5 for code, hours in ROWS.items()}
    for code, power in powers.items():
        share = power / sum(powers.values())  # of 400 draws: two standard deviations are at most 0.05
        assert heard[code] / heard.total() == pytest.approx(share, abs=0.06)
    assert heard.total() >= 400 and heard["ta"] / heard.total() > 1.5 * ROWS["ta"] / sum(ROWS.values())


@pytest.mark.slow
def test_the_stream_goes_on_exactly_where_it_was_left(folder: Path):
    whole = [batch[4].names for batch in islice(open_stream(folder), 30)]
    for start in (1, 17):
        stream = open_stream(folder)
        stream.start_at(StreamPosition(start, 0, start))
        assert [batch[4].names for batch in islice(stream, 30 - start)] == whole[start:]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["null", "devanagari"])
def test_a_training_on_three_languages_logs_the_error_rate_of_each(folder: Path, script: str):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run_job(settings_of(folder, **{"trainer.max_steps": 3, "script": script, "name": f"of_{script}"})) == 0
    run = folder / "exp" / f"of_{script}"
    config = read_nemo_config(next(run.rglob("*.nemo")))
    assert list(config["languages"]) == ["hi", "ta", "bn"] and ("க" in config["labels"]) == (script == "null")
    events = EventAccumulator(str(next(run.rglob("events.out*")).parent)).Reload()
    rates = {name: events.Scalars(name)[-1].value for name in events.Tags()["scalars"] if name.startswith("val_wer")}
    assert set(rates) == {"val_wer", "val_wer_hi", "val_wer_ta", "val_wer_bn"}
    words = {"hi": 4, "ta": 2, "bn": 2}  # two rows of each
    together = sum(rates[f"val_wer_{code}"] * count for code, count in words.items()) / sum(words.values())
    assert rates["val_wer"] == pytest.approx(together, abs=1e-6)
