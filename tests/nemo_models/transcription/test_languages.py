"""Transcription with a model of several languages: the labels of one, whoever chose it."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import nemo_models
from data_prep.languages.language import load_language
from data_prep.text.alphabet import load_alphabet
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcript_files import score_rows
from nemo_models.transcription.transcripts import Transcript, transcript_row
from topology import architecture

LANGUAGES = "hi,ta,bn"
LETTERS = {code: set(load_language(code).alphabet) for code in LANGUAGES.split(",")}
SECONDS = (1.0, 1.7, 0.6)


@pytest.fixture(scope="module")
def model() -> XLSRCTCModel:
    """A model whose texts are noise over all letters."""
    torch.manual_seed(0)
    config = model_config(architecture(), load_alphabet(language=LANGUAGES), True, 1e-5, language=LANGUAGES)
    model = XLSRCTCModel(cfg=config).eval()
    torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.5)
    return model


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(scale=0.1, size=round(16000 * seconds)).astype(np.float32) for seconds in SECONDS]


def transcribe(model: XLSRCTCModel, audio: list, **options: object) -> list[Transcript]:
    return sorted(nemo_models.transcribe(model, audio, **options), key=lambda transcript: transcript.index)


@pytest.mark.parametrize("strategy", ["greedy_batch", "beam_batch"])
def test_only_letters_of_the_language_are_written_alone_and_in_a_batch(model: XLSRCTCModel, waves: list, strategy: str):
    configure_decoding(model, {"strategy": strategy})
    for code, letters in LETTERS.items():
        together = transcribe(model, waves, language=code)
        assert all(found.text and set(found.text) <= letters and found.language == code for found in together)
        for at, wave in enumerate(waves):
            (alone,) = transcribe(model, [wave], language=code)
            assert (alone.text, alone.language) == (together[at].text, code)
            assert [word.word for word in alone.words] == [word.word for word in together[at].words]
    assert len({found.text for code in LETTERS for found in transcribe(model, waves, language=code)}) == 9


def test_a_row_of_a_manifest_chooses_its_language(model: XLSRCTCModel, waves: list, tmp_path: Path):
    configure_decoding(model, {"strategy": "greedy_batch"})
    inputs = []
    for at, code in enumerate(("ta", "bn", "ml")):
        soundfile.write(tmp_path / f"{at}.wav", waves[at], 16000)
        inputs.append(AudioInput(tmp_path / f"{at}.wav", fields={"lang": code}))
    found = transcribe(model, inputs)
    assert set(found[0].text) <= LETTERS["ta"] and set(found[1].text) <= LETTERS["bn"]
    assert transcript_row(found[1])["lang"] == "bn"
    assert found[2].error == f"language: {tmp_path}/2.wav: found lang ml, expected one of hi, ta, bn, the model's"
    assert transcribe(model, inputs, language="hi")[2].language == "hi"  # the job's choice comes first


def test_the_language_is_identified_where_none_is_asked_for(model: XLSRCTCModel, waves: list):
    configure_decoding(model, {"strategy": "greedy_batch"})
    found = transcribe(model, waves)
    for transcript in found:
        assert transcript.text and set(transcript.text) <= LETTERS[transcript.language]
        assert transcript_row(transcript)["lang"] == transcript.language
    assert [t.language for wave in waves for t in transcribe(model, [wave])] == [t.language for t in found]
    (silent,) = transcribe(model, [np.zeros(16000, np.float32)])
    assert (silent.text, silent.language) == ("", None) and "lang" not in transcript_row(silent)


def test_a_head_that_prefers_a_language_is_heard_as_that_language(waves: list):
    for code in ("ta", "bn"):
        torch.manual_seed(0)
        config = model_config(architecture(), load_alphabet(language=LANGUAGES), True, 1e-5, language=LANGUAGES)
        model = XLSRCTCModel(cfg=config).eval()
        own = [at for at, label in enumerate(model.decoder.vocabulary) if label in LETTERS[code] - {" "}]
        with torch.no_grad():
            model.decoder.decoder_layers[0].bias[own] += 3.0
        assert {found.language for found in transcribe(model, waves)} == {code}


def test_a_language_that_the_model_lacks_is_one_clear_line(
    model: XLSRCTCModel, tiny_model: XLSRCTCModel, waves: list, tmp_path: Path
):
    with pytest.raises(ValueError, match="language=ml: expected one of hi, ta, bn, the languages of the model; choose"):
        nemo_models.transcribe(model, waves, language="ml")
    with pytest.raises(ValueError, match="language=ta: expected hi, the language of the model; leave it out"):
        nemo_models.transcribe(tiny_model, waves, language="ta")
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("காலை\n", encoding="utf-8")
    beam, boosting = {"strategy": "beam_batch"}, {"phrases_file": str(phrases)}
    with pytest.raises(ValueError, match=r"boosting\.phrases_file=.*expected language=… with a model of hi, ta, bn"):
        configure_decoding(model, beam, boosting)
    configure_decoding(model, beam, boosting, "ta")


def test_a_language_model_is_of_one_language(model: XLSRCTCModel, waves: list, tmp_path: Path, lmplz: str):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(load_language("ta").sentences * 4) + "\n", encoding="utf-8")
    labels = list(model.decoder.vocabulary)
    train_ngram_lm([text], labels, tmp_path / "ta.nemo", order=2, language="ta", num_workers=1)
    beam = {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(tmp_path / "ta.nemo")}}
    with pytest.raises(ValueError, match=r"ngram_lm_model=.*ta\.nemo: expected language=… with a model of hi, ta, bn"):
        configure_decoding(model, beam)
    with pytest.raises(ValueError, match="found a language model of the language ta, expected bn"):
        configure_decoding(model, beam, language="bn")
    configure_decoding(model, beam, language="ta")
    assert all(set(found.text) <= LETTERS["ta"] for found in transcribe(model, waves, language="ta"))


def test_a_model_of_one_language_is_as_before(tiny_model: XLSRCTCModel, waves: list, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", waves[0], 16000)
    row = {"lang": "ta", "text": "कमल"}
    plain, other = (transcribe(tiny_model, [AudioInput(tmp_path / "a.wav", fields=f)])[0] for f in ({}, row))
    assert plain.text == other.text and plain.language is other.language is None
    assert transcribe(tiny_model, waves, language="hi")[0].text == plain.text
    assert "lang" not in transcript_row(plain)


def test_rows_are_scored_by_their_own_language():
    rows = [
        {"text": "கோ.", "pred_text": "கோ", "lang": "ta"},
        {"text": "अच्छा", "pred_text": "अच्छा", "lang": "hi"},
        {"text": "ভাল", "pred_text": "", "lang": "bn"},
        {"text": "कल", "pred_text": ""},
    ]
    scores = score_rows(json.loads(json.dumps(rows)), "pred_text", language=LANGUAGES)
    assert (scores.words, scores.deletions, scores.substitutions) == (4, 2, 0)
