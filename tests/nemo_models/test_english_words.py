"""Hindi with English words through every job: corpus, training, language model, tuning, server, scores by script.

The audio is made of tones, one for each letter, and the model reads them (`tone_reader`).
"""

import json
from pathlib import Path

import pytest
import soundfile
from omegaconf import OmegaConf

import nemo_models
from data_prep.manifest import read_manifest
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import fingerprint_language
from nemo_models.evaluation.evaluation import evaluate
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions, LayerOptions
from nemo_models.files.model_language import choose_language
from nemo_models.files.nemo_file import read_labels, read_nemo_config
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.serving.client_languages import load_languages
from nemo_models.serving.recogniser import ModelRecogniser
from nemo_models.training.finetuning import fine_tune
from nemo_models.training.preflight import check_data_sets
from nemo_models.tuning.decoding_tuning import tune_decoding
from preparing import prepare_corpus
from recipe import load_recipe
from serving_client import client_of, make_served
from tone_reader import SAMPLE_RATE_HZ, make_tone_reader, write_tones
from topology import architecture

pytestmark = pytest.mark.slow

WRITTEN = ["कल Office में meeting है।", "Don't worry, काम हो गया।", "वह school गया।", "Phone मत करो।"]
TEXTS = ["कल OFFICE में MEETING है", "DON'T WORRY काम हो गया", "वह SCHOOL गया", "PHONE मत करो"]
LABELS = load_alphabet(language="hi+en")


def prepare(folder: Path, **settings) -> dict:
    """Prepare the sentences as tones; return the report."""
    (folder / "corpus").mkdir(exist_ok=True)
    rows = ["path\ttext\tspeaker"]
    for at, (written, text) in enumerate(zip(WRITTEN, TEXTS, strict=True)):
        soundfile.write(folder / f"corpus/{at}.wav", write_tones(text, LABELS), SAMPLE_RATE_HZ)
        rows.append(f"{at}.wav\t{written}\ts{at}")
    (folder / "corpus/transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return prepare_corpus("tsv", folder / "corpus", num_workers=1, **settings)


def test_sentences_of_two_languages_go_through_every_job(tmp_path: Path, lmplz: str):
    everything = {"splits": {"train": 1.0}, "output_dir": tmp_path / "data"}
    refused = prepare(tmp_path, splits={"train": 1.0}, output_dir=tmp_path / "hindi")
    assert (refused["rejected"], refused["rejected_by_reason"]["latin"]) == (4, 4)
    report = prepare(tmp_path, latin="keep", **everything)
    assert (report["rejected"], report["normalizer_fingerprint"]) == (0, fingerprint_language("hi+en"))
    manifest = tmp_path / "data/train_manifest.json"
    assert [(row["text"], row["lang"]) for row in read_manifest(manifest)] == [(text, "hi+en") for text in TEXTS]
    # a model that reads the tones; Hindi alone is refused, with the language to set
    model = make_tone_reader(TEXTS, LABELS, "hi+en")
    data = OmegaConf.create({"train_ds": {"manifest_filepath": str(manifest)}, "encoder": model.cfg.encoder})
    assert check_data_sets(data, LABELS, language="hi+en") == []
    assert "lang is hi+en, language is hi" in " ".join(check_data_sets(data, load_alphabet(), language="hi"))
    # language model, tuning: both take the language from the model
    assert choose_language(None, model.cfg.normalizer_fingerprint, "the model") == "hi+en"
    assert choose_language("hi", model.cfg.normalizer_fingerprint, "the model") == "hi+en"
    (tmp_path / "text.txt").write_text("\n".join(WRITTEN) + "\n", encoding="utf-8")
    made = train_ngram_lm(
        [tmp_path / "text.txt"], LABELS, tmp_path / "lm.nemo", order=3, language="hi+en", num_workers=1
    )
    assert made.counts.reasons == {}
    grid = {"alphas": [0.0, 0.5], "betas": [0.0], "beam_sizes": [4]}
    assert tune_decoding(model, manifest, tmp_path / "lm.nemo", tmp_path / "bundle.nemo", **grid).best.wer == 0
    # server: a client that asks for Hindi gets both scripts
    bundle = load_ctc_model(tmp_path / "bundle.nemo")
    served = make_served(tmp_path, ModelRecogniser(nemo_models.Transcriber(bundle)), languages=load_languages("hi+en"))
    with client_of(served) as client:
        files = {"file": ("a.wav", (tmp_path / "corpus/0.wav").read_bytes())}
        answer = client.post("/v1/audio/transcriptions", data={"model": "tiny", "language": "hi"}, files=files)
        assert answer.json()["text"] == TEXTS[0]
    # scoring in either script, strict and by the list
    rows = [{"audio_filepath": f"{at}.wav", "text": text, "pred_text": text} for at, text in enumerate(TEXTS)]
    rows[0]["pred_text"] = "कल ऑफिस में मीटिंग है"
    rows[1]["pred_text"] = "डोंट वरी काम हो गया"
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "out.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "mine.tsv").write_text("don't\tडोंट\n", encoding="utf-8")
    layers = LayerOptions(language="hi+en", english_words=(tmp_path / "mine.tsv",))
    test_set = load_test_set([tmp_path / "out.jsonl"], language="hi+en")
    report = evaluate(test_set, EvaluationOptions(layers, replicates=100, read_audio=False)).report
    errors = {layer["name"]: layer["errors"] for layer in report["systems"][0]["layers"]}
    assert (errors["raw"], errors["encoding"], errors["either_script"]) == (4, 4, 1)  # वरी is on no list


def test_a_training_writes_its_languages_into_the_model(tmp_path: Path):
    prepare(tmp_path, latin="keep", splits={"train": 0.5, "dev": 0.5}, output_dir=tmp_path / "data")
    cfg = load_recipe(
        "xlsr_hi",
        *("name=mixed", "language=hi+en", "init_from_checkpoint=null", f"exp_manager.exp_dir={tmp_path}/runs"),
        f"model.train_ds.manifest_filepath={tmp_path}/data/train_manifest.json",
        f"model.validation_ds.manifest_filepath={tmp_path}/data/dev_manifest.json",
        *("model.train_ds.batch_duration=20", "model.train_ds.num_buckets=1", "model.train_ds.num_workers=0"),
        *("model.validation_ds.num_workers=0", "model.train_ds.pin_memory=false", "trainer.accelerator=cpu"),
        *("trainer.devices=1", "trainer.max_steps=1", "trainer.precision=32-true", "trainer.limit_train_batches=1"),
        *("trainer.val_check_interval=1", "trainer.log_every_n_steps=1", "trainer.accumulate_grad_batches=1"),
    )
    cfg.model.encoder.architecture = architecture(num_hidden_layers=1)
    made = fine_tune(cfg)
    assert read_labels(made) == LABELS
    assert read_nemo_config(made)["normalizer_fingerprint"] == fingerprint_language("hi+en")
