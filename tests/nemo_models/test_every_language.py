"""Every language through every job: corpus, alphabet, checks, language model, beam search, report, ONNX, training.

The audio is made of tones, one for each letter, and the model reads them (`tone_reader`), so that the sentences of each
language have to come out as they went in. What does not depend on the language is small: one process, one layer.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from data_prep.job_settings import make_schema, read_settings
from data_prep.languages.language import find_refusal, list_languages, load_language
from data_prep.manifest import read_manifest
from data_prep.text.alphabet import load_alphabet
from data_prep.text.files import normalize_file
from data_prep.text.normalizer import fingerprint_language, normalize_text
from data_prep.text.policy import TextPolicy
from nemo_models.evaluation.evaluation import evaluate
from nemo_models.evaluation.html_report import write_html_report
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions, LayerOptions
from nemo_models.export.exporting import export_model
from nemo_models.files.nemo_file import read_labels, read_nemo_config
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.training.finetuning import fine_tune
from nemo_models.training.preflight import check_data_sets
from nemo_models.transcription.command import run_command
from nemo_models.transcription.job_settings import TranscribeSettings
from preparing import prepare_corpus
from project import ROOT
from recipe import load_recipe
from tone_reader import SAMPLE_RATE_HZ, make_tone_reader, write_tones
from topology import architecture

pytestmark = pytest.mark.slow

LANGUAGES = [*(code for code in list_languages() if not find_refusal(code)), "hi+en"]
STRANGER = {"en": "नमस्ते", "hi+en": "வணக்கம்"}  # a line of another script; the others get English
LAYERS = {"hi": 6, "hi+en": 7}  # of the report; the others have 3


def speak_corpus(folder: Path, language: str) -> list[str]:
    """Write the sentences of a language's file as a corpus of tones; return them normalised."""
    written = load_language(language).sentences
    texts = [normalize_text(sentence, TextPolicy(language=language)) for sentence in written]
    labels, rows = load_alphabet(language=language), ["path\ttext\tspeaker"]
    folder.mkdir()
    for at, text in enumerate(texts):
        soundfile.write(folder / f"{at}.wav", write_tones(text, labels), SAMPLE_RATE_HZ)
        rows.append(f"{at}.wav\t{written[at]}\ts{at}")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return texts


def transcribe(*arguments: str) -> bool:
    """Run the transcription job; return whether nothing failed."""
    ConfigStore.instance().store("transcribe_speech_schema", make_schema(TranscribeSettings))
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("transcribe_speech", overrides=["num_workers=0", *arguments])
    summary = run_command(read_settings(TranscribeSettings, OmegaConf.to_container(cfg)))
    return summary is not None and summary.is_complete


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_goes_through_every_job(tmp_path: Path, language: str, lmplz: str):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    # corpus → manifest
    texts = speak_corpus(tmp_path / "corpus", language)
    arguments = {"language": language, "splits": {"train": 1.0}, "num_workers": 1}
    report = prepare_corpus("tsv", tmp_path / "corpus", tmp_path / "data", **arguments)
    assert report["rejected"] == 0 and report["normalizer_fingerprint"] == fingerprint_language(language)
    manifest = tmp_path / "data/train_manifest.json"
    rows = list(read_manifest(manifest))
    assert [row["text"] for row in rows] == texts
    assert {row.get("lang") for row in rows} == {None if language == "hi" else language}
    # labels of a model, and the checks before its training
    labels = load_alphabet(language=language)
    model = make_tone_reader(texts, labels, language)
    model.save_to(str(tmp_path / "model.nemo"))
    assert read_labels(tmp_path / "model.nemo") == labels
    data = OmegaConf.create({"train_ds": {"manifest_filepath": str(manifest)}, "encoder": model.cfg.encoder})
    assert check_data_sets(data, labels, language=language) == []
    other = "ta" if language != "ta" else "bn"
    problems = " ".join(check_data_sets(data, load_alphabet(language=other), language=other))
    assert ("outside_alphabet" if language == "hi" else f"language is {other}") in problems  # Hindi rows have no `lang`
    # text → language model
    lines = [*load_language(language).sentences, STRANGER.get(language, "hello")]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    policy = TextPolicy(language=language)
    outputs = tmp_path / "clean.txt", tmp_path / "rejected.jsonl"
    found = normalize_file(tmp_path / "text.txt", *outputs, policy=policy, num_workers=1)
    assert found.kept == len(texts) and sum(found.rejected.values()) == 1
    lm = tmp_path / "lm.nemo"
    train_ngram_lm([tmp_path / "text.txt"], labels, lm, order=3, language=language, num_workers=1)
    # transcription with beam search and language model
    output = tmp_path / "out.jsonl"
    assert transcribe(
        *(f"model_path={tmp_path}/model.nemo", f"dataset_manifest={manifest}", f"output_filename={output}"),
        *("ctc_decoding.strategy=beam_batch", f"ctc_decoding.beam.ngram_lm_model={lm}", "output_formats=[srt]"),
    )
    transcripts = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["pred_text"] for row in transcripts] == texts
    assert [[word["word"] for word in row["words"]] for row in transcripts] == [text.split() for text in texts]
    subtitles = next((tmp_path / "out_files").glob("*.srt")).read_text(encoding="utf-8")
    assert any(text.split()[0] in subtitles for text in texts)
    # report
    test_set = load_test_set([output], manifest, language=language)
    evaluation = evaluate(test_set, EvaluationOptions(LayerOptions(language=language), replicates=100))
    assert [layer["wer"] for layer in evaluation.report["systems"][0]["layers"]] == [0.0] * LAYERS.get(language, 3)
    write_html_report(evaluation, tmp_path / "report.html", language, 10, 0)
    assert texts[0].split()[0] in (tmp_path / "report.html").read_text(encoding="utf-8")
    # ONNX: the graph reads the tones too, with the labels of tokens.txt
    export_model(tmp_path / "model.nemo", "onnx", tmp_path / "onnx")
    lines = (tmp_path / "onnx/tokens.txt").read_text(encoding="utf-8").splitlines()
    tokens = [line.rsplit(" ", 1)[0] for line in lines]
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx/model.onnx"), providers=["CPUExecutionProvider"])
    wave = write_tones(texts[0], labels).astype(np.float32)[None]
    (log_probs, _) = session.run(None, {"waveforms": wave, "lengths": np.array([wave.shape[1]])})
    best = torch.unique_consecutive(torch.from_numpy(log_probs[0]).argmax(-1)).tolist()
    read = "".join(tokens[label] for label in best if label != len(labels))
    assert read.replace(tokens[0], " ") == texts[0]


def test_a_language_is_all_that_the_recipe_of_a_training_needs(tmp_path: Path):
    """Urdu, which runs from right to left: three updates of a small network, and the model is Urdu's."""
    texts = speak_corpus(tmp_path / "corpus", "ur")
    prepare_corpus("tsv", tmp_path / "corpus", tmp_path / "data", language="ur", splits={"train": 0.6, "dev": 0.4})
    cfg: DictConfig = load_recipe(
        "xlsr_hi",
        *("name=xlsr_ur", "language=ur", "init_from_checkpoint=null", f"exp_manager.exp_dir={tmp_path}/runs"),
        f"model.train_ds.manifest_filepath={tmp_path}/data/train_manifest.json",
        f"model.validation_ds.manifest_filepath={tmp_path}/data/dev_manifest.json",
        *("model.train_ds.batch_duration=20", "model.train_ds.num_buckets=1", "model.train_ds.num_workers=0"),
        *("model.validation_ds.num_workers=0", "model.train_ds.pin_memory=false", "trainer.accelerator=cpu"),
        *("trainer.devices=1", "trainer.max_steps=3", "trainer.precision=32-true", "trainer.limit_train_batches=1"),
        *("trainer.val_check_interval=1", "trainer.log_every_n_steps=1", "trainer.accumulate_grad_batches=1"),
    )
    cfg.model.encoder.architecture = architecture(num_hidden_layers=1)
    made = fine_tune(cfg)
    assert read_labels(made) == load_alphabet(language="ur") and len(texts) >= 5
    assert read_nemo_config(made)["normalizer_fingerprint"] == fingerprint_language("ur")
