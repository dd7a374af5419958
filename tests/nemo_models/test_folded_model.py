"""A model that writes several languages with the letters of one script: each text comes out in its own.

The audio is made of tones, one for each label, and the model reads them (`tone_reader`).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf
from rapidfuzz.distance import Levenshtein

import nemo_models
from data_prep.languages.language import load_language
from data_prep.manifest import read_manifest, write_jsonl
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.label_languages import read_label_languages
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.export.huggingface import write_huggingface
from nemo_models.files.model_language import describe_labels, make_folding, read_folds, read_letters
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.transcription.command import require_language
from nemo_models.transcription.inputs import AudioInput, read_manifest_inputs
from nemo_models.transcription.transcripts import Transcript
from tone_reader import SAMPLE_RATE_HZ, make_tone_reader, write_tones

LANGUAGES, SCRIPT = "hi,bn,ml", "devanagari"
CODES = LANGUAGES.split(",")
LABELS = load_alphabet(language=LANGUAGES, script=SCRIPT)
TEXTS = {
    code: [normalize_text(sentence, TextPolicy(language=code)) for sentence in load_language(code).sentences[:2]]
    for code in CODES
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.nemo` of a model that reads the tones of two sentences in each language."""
    folding = make_folding(describe_labels(LANGUAGES, SCRIPT))
    texts = [text.translate(folding) for code in CODES for text in TEXTS[code]]
    path = tmp_path_factory.mktemp("folded") / "model.nemo"
    make_tone_reader(texts, LABELS, LANGUAGES, SCRIPT).save_to(str(path))
    return path


@pytest.fixture
def model(file: Path) -> XLSRCTCModel:
    return XLSRCTCModel.restore_from(str(file)).eval()


@pytest.fixture(scope="module")
def manifest(file: Path) -> Path:
    """A manifest with the sentences of all three languages in their own scripts; Hindi's rows have no `lang`."""
    folding, rows = make_folding(read_nemo_config(file)), []
    for code in CODES:
        for at, text in enumerate(TEXTS[code]):
            name = f"{code}{at}.wav"
            wave = write_tones(text.translate(folding), LABELS)
            soundfile.write(file.parent / name, wave, SAMPLE_RATE_HZ)
            lang = {} if code == "hi" else {"lang": code}
            rows.append({"audio_filepath": name, "duration": len(wave) / SAMPLE_RATE_HZ, "text": text, **lang})
    write_jsonl(file.parent / "manifest.json", rows)
    return file.parent / "manifest.json"


def inputs_of(manifest: Path, code: str) -> list[AudioInput]:
    inputs = read_manifest_inputs(manifest)
    return [audio for audio in inputs if audio.fields.get("lang", "hi") == code]


def transcribe(model: XLSRCTCModel, audio: Sequence, **options: object) -> list[Transcript]:
    return sorted(nemo_models.transcribe(model, audio, **options), key=lambda one: one.index)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["greedy_batch", "beam_batch"])
def test_each_language_is_written_in_its_own_script(model: XLSRCTCModel, manifest: Path, strategy: str):
    configure_decoding(model, {"strategy": strategy})
    for code in CODES:
        fields = ("char", "word", "beams")
        found = transcribe(model, inputs_of(manifest, code), language=code, nemo_fields=fields)
        assert [one.text for one in found] == TEXTS[code] and {one.language for one in found} == {code}
        for one, text in zip(found, TEXTS[code], strict=True):
            assert [word.word for word in one.words] == text.split()
            assert "".join(stamp["char"] for stamp in one.nemo_fields["char"]) == text
            assert [stamp["word"] for stamp in one.nemo_fields["word"]] == text.split()
            assert one.nemo_fields["beams"][0][0] == text


def test_the_lang_of_a_row_is_its_language_and_audio_without_one_is_refused(model: XLSRCTCModel, manifest: Path):
    found = transcribe(model, read_manifest_inputs(manifest))  # all languages in one batch
    assert [one.text for one in found] == [text for code in CODES for text in TEXTS[code]]
    for one in transcribe(model, sorted(manifest.parent.glob("bn*.wav"))):
        assert not one.text and "expected one of hi, bn, ml, found none; the model writes them in one" in one.error


def test_a_job_that_names_no_language_is_refused_before_it_begins(file: Path, manifest: Path):
    recordings = [AudioInput(path) for path in sorted(manifest.parent.glob("bn*.wav"))]
    with pytest.raises(ValueError, match=r"language=null: expected one of hi, bn, ml with .*model\.nemo, which writes"):
        require_language(None, file, recordings)
    require_language("bn", file, recordings)
    require_language(None, file, read_manifest_inputs(manifest))


@pytest.mark.slow
def test_the_model_is_the_same_wherever_it_goes(model: XLSRCTCModel, file: Path, tmp_path: Path):
    languages = read_nemo_config(file)["languages"]
    assert languages["ml"]["क"] == "ക" and languages["hi"]["क"] == "क" and languages["bn"]["ৎ"] == "ৎ"
    assert read_folds(model.cfg) == languages == read_folds({"languages": languages})
    (tmp_path / "hf").mkdir()
    write_huggingface(model, tmp_path / "hf")
    for source in (file, tmp_path / "hf"):
        again = model_from_checkpoint(load_checkpoint(str(source)))
        assert OmegaConf.to_container(again.cfg.languages) == languages and list(again.decoder.vocabulary) == LABELS
        assert again.cfg.normalizer_fingerprint == model.cfg.normalizer_fingerprint


@pytest.mark.slow
def test_onnx_carries_the_letters_in_its_metadata(model: XLSRCTCModel, tmp_path: Path):
    from nemo_models.export.onnx import write_onnx

    write_onnx(model, tmp_path)
    metadata = json.loads((tmp_path / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["languages"] == OmegaConf.to_container(model.cfg.languages) and metadata["labels"] == LABELS


@pytest.mark.parametrize("use_lhotse", [True, False])
def test_training_and_validation_read_transcripts_in_their_own_scripts(
    model: XLSRCTCModel, manifest: Path, use_lhotse: bool
):
    cfg = {"manifest_filepath": str(manifest), "batch_size": 6, "shuffle": False, "num_workers": 0}
    cfg |= {"use_lhotse": use_lhotse, "sample_rate": SAMPLE_RATE_HZ}
    batch = next(iter(model._setup_dataloader_from_config(OmegaConf.create(cfg))))
    read = {"".join(LABELS[label] for label in row[:size]) for row, size in zip(batch[2], batch[3], strict=True)}
    folding = make_folding(model.cfg)
    assert read == {row["text"].translate(folding) for row in read_manifest(manifest)} and len(read) == 6


def test_an_error_rate_of_labels_is_that_of_letters(model: XLSRCTCModel):
    """Validation counts labels, also where the model writes one that the language lacks."""
    languages = read_label_languages(model.cfg, LABELS)
    generator = np.random.default_rng(0)
    for code in CODES:
        own = [label for label in model.cfg.languages[code] if label != " "][:6]
        said, heard = (
            [" ".join("".join(generator.choice(letters, 2)) for _ in range(8)) for _ in range(20)]
            for letters in (own, [*own, *LABELS[-3:]])
        )
        pairs = list(zip(said, heard, strict=True))
        unfolded = [languages.unfold(pair, code) for pair in pairs]
        assert (unfolded != pairs) == (code != "hi")
        for divide in (str.split, list):  # words, and characters
            wrong = [[Levenshtein.distance(*map(divide, pair)) for pair in one] for one in (pairs, unfolded)]
            assert wrong[0] == wrong[1] and sum(wrong[0]) > 0


@pytest.mark.slow
def test_a_language_model_of_the_models_labels(model: XLSRCTCModel, manifest: Path, tmp_path: Path, lmplz: str):
    text = tmp_path / "text.txt"
    text.write_text("\n".join([*load_language("bn").sentences, "कमल", "কমল कमल"]) + "\n", encoding="utf-8")
    letters = read_letters(model.cfg, "bn")
    arguments = {"order": 3, "language": "bn", "num_workers": 1, "letters": letters}
    found = train_ngram_lm([text], LABELS, tmp_path / "bn.nemo", **arguments)
    assert found.counts.left_out == 2 and found.counts.reasons["outside_alphabet"] == 2  # Devanagari is not Bengali
    beam = {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(tmp_path / "bn.nemo")}}
    configure_decoding(model, beam, language="bn")
    assert [one.text for one in transcribe(model, inputs_of(manifest, "bn"), language="bn")] == TEXTS["bn"]
    with pytest.raises(ValueError, match="found a language model of the language bn, expected ml"):
        configure_decoding(model, beam, language="ml")
    # of words
    train_ngram_lm([text], LABELS, tmp_path / "bn.arpa", kind="word", **{**arguments, "order": 2})
    assert TEXTS["bn"][0].split()[0].translate(str.maketrans(letters)) in (tmp_path / "bn.arpa").read_text("utf-8")


@pytest.mark.slow
def test_phrases_are_in_the_script_of_the_language(model: XLSRCTCModel, tmp_path: Path):
    from nemo_models.serving.phrases import read_prompt

    phrases = tmp_path / "phrases.txt"
    word = TEXTS["ml"][0].split()[0]
    folded = word.translate(make_folding(model.cfg))
    phrases.write_text(f"{word}\n", encoding="utf-8")
    configure_decoding(model, {"strategy": "beam_batch"}, {"phrases_file": str(phrases)}, "ml")
    assert list(model.cfg.decoding.beam.boosting_tree.key_phrases_list) == [folded]
    with pytest.raises(ValueError, match=r"phrases\.txt:1: found U\+0D.* MALAYALAM .*, expected characters that the"):
        configure_decoding(model, {"strategy": "beam_batch"}, {"phrases_file": str(phrases)}, "bn")
    assert read_prompt(f"{word}, कमल", LABELS, "ml", read_letters(model.cfg, "ml")) == ([folded], ["कमल"])
