"""Tuning for a model of several languages: the language of the language model chooses, the others are only scored."""

import json
from pathlib import Path

import pytest
import soundfile

from data_prep.languages.language import load_language
from data_prep.manifest import write_jsonl
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.files.model_language import describe_labels, make_folding, read_letters
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.transcription.inputs import read_manifest_inputs
from nemo_models.transcription.transcribe import transcribe
from nemo_models.tuning.decoding_tuning import tune_decoding
from tone_reader import SAMPLE_RATE_HZ, make_tone_reader, write_tones

pytestmark = pytest.mark.slow

LANGUAGES = "hi,bn"
GRID = {"alphas": [0.5], "betas": [0.0, 1.0], "beam_sizes": [4]}
TEXTS = {
    code: normalize_text(load_language(code).sentences[0], TextPolicy(language=code)) for code in LANGUAGES.split(",")
}


@pytest.fixture(scope="module", params=[None, "devanagari"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, lmplz: str) -> Path:
    """A model that reads a sentence of each language, its dev data, and a Bengali language model."""
    folder, labels = tmp_path_factory.mktemp("tuning"), load_alphabet(language=LANGUAGES, script=request.param)
    folding = make_folding(describe_labels(LANGUAGES, request.param))
    folded = {code: text.translate(folding) for code, text in TEXTS.items()}
    model = make_tone_reader(list(folded.values()), labels, LANGUAGES, request.param)
    model.save_to(str(folder / "model.nemo"))
    rows = []
    for code, text in folded.items():
        wave = write_tones(text, labels)
        soundfile.write(folder / f"{code}.wav", wave, SAMPLE_RATE_HZ)
        row = {"audio_filepath": f"{code}.wav", "duration": len(wave) / SAMPLE_RATE_HZ, "text": TEXTS[code]}
        rows.append(row | ({} if code == "hi" else {"lang": code}))  # Hindi's rows have no `lang`
    write_jsonl(folder / "dev.json", rows)
    (folder / "bn.txt").write_text("\n".join(load_language("bn").sentences) + "\n", encoding="utf-8")
    letters = read_letters(model.cfg, "bn")
    train_ngram_lm(
        [folder / "bn.txt"], labels, folder / "bn.nemo", order=3, language="bn", num_workers=1, letters=letters
    )
    return folder


def load(folder: Path) -> XLSRCTCModel:
    return XLSRCTCModel.restore_from(str(folder / "model.nemo")).eval()


def test_settings_are_chosen_on_rows_of_one_language_and_all_are_scored(folder: Path):
    report = tune_decoding(
        load(folder), folder / "dev.json", folder / "bn.nemo", folder / "bundle.nemo", language="bn", **GRID
    )
    assert report.origin["language"] == "bn" and report.origin["utterances"] == 1
    assert {code: (scores.wer, scores.words) for code, scores in report.greedy_of.items()} == {
        code: (0.0, len(text.split())) for code, text in TEXTS.items()
    }
    assert report.best.wer == 0.0 and report.failed == []
    table = json.loads((folder / "bundle.tuning.json").read_text(encoding="utf-8"))
    assert table["greedy_by_language"]["hi"]["wer"] == 0.0
    # the bundle is for that language
    assert read_nemo_config(folder / "bundle.nemo")["decoding_tuning"]["language"] == "bn"
    bundle = XLSRCTCModel.restore_from(str(folder / "bundle.nemo")).eval()
    configure_decoding(bundle, language="bn")
    (found,) = transcribe(bundle, read_manifest_inputs(folder / "dev.json")[1:], language="bn")
    assert found.text == TEXTS["bn"]
    with pytest.raises(ValueError, match="found a language model of the language bn, expected hi"):
        configure_decoding(bundle, language="hi")


def test_what_does_not_fit_is_one_clear_line(folder: Path, tmp_path: Path):
    model, output = load(folder), tmp_path / "bundle.nemo"
    arguments = (folder / "bn.nemo", output)
    with pytest.raises(ValueError, match=r"bn\.nemo: expected language=… with a model of hi, bn, for it is of one"):
        tune_decoding(model, folder / "dev.json", *arguments, **GRID)
    with pytest.raises(ValueError, match="found a language model of the language bn, expected hi"):
        tune_decoding(model, folder / "dev.json", *arguments, language="hi", **GRID)
    with pytest.raises(ValueError, match="language=ta: expected one of hi, bn, the languages of the model; choose one"):
        tune_decoding(model, folder / "dev.json", *arguments, language="ta", **GRID)
    lines = (folder / "dev.json").read_text(encoding="utf-8").splitlines()
    for number, (kept, message) in enumerate(
        [
            (lines[:1], "found no usable row among 0 with a text in the language bn, expected dev data"),
            ([*lines, lines[1].replace('"bn"', '"ta"')], "row 3: found lang ta, expected hi or bn, the model's"),
        ]
    ):
        manifest = folder / f"wrong{number}.json"
        manifest.write_text("\n".join(kept) + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            tune_decoding(model, manifest, *arguments, language="bn", **GRID)
    assert not output.exists()
