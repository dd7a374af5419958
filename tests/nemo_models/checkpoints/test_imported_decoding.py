"""Imported heads with their language models: a head as IndicWav2Vec's, and a Hugging Face folder with pyctcdecode's
files, each against pyctcdecode on the source model's own logits."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kenlm
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from transformers import AutoProcessor, Wav2Vec2ForCTC

from family import random_model, write_fairseq, write_huggingface
from lm_text import LM_SENTENCES
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.files.nemo_file import read_labels
from nemo_models.inference.log_probs import compute_log_probs
from nemo_models.language_models.lm_file import token_words
from nemo_models.language_models.ngram_lm import train_ngram_lm

NAME = "indicwav2vec-hindi"
LETTERS = [*"कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहअआइईउएऐओािीुूेैोौंःँ़्"]
TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS, "त्र"]
"""fairseq's special tokens, characters, and one token of three characters."""
SENTENCES = ["मित्र रात को आया", "वह मित्र कल आया", "रात को पुत्र आया", *LM_SENTENCES]
ALPHA, BETA = 0.6, 1.2
IMPOSSIBLE = -1e4  # natural log


@pytest.fixture(scope="module")
def indic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A fairseq checkpoint with such a head, and transformers' model with the same weights."""
    folder = tmp_path_factory.mktemp("indic")
    model = random_model(NAME, 0, TOKENS, layers=1)
    with torch.no_grad():  # so that noise gives these tokens too
        model.lm_head.bias[[TOKENS.index("<s>"), TOKENS.index("त्र")]] += 15
    write_fairseq(folder / "checkpoint.pt", NAME, model, TOKENS)
    return folder / "checkpoint.pt", model


@pytest.fixture(scope="module")
def imported(indic: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "indic.nemo"
    import_checkpoint(str(indic[0]), ["unused"]).model.save_to(str(path))
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def word_lm(text: Path, imported: Path, lmplz: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    train_ngram_lm([text], read_labels(imported), path, 2, kind="word", deduplicate=False)
    return path


@pytest.fixture(scope="module")
def token_lm(text: Path, imported: Path, lmplz: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "tokens.nemo"
    report = train_ngram_lm([text], read_labels(imported), path, 3, deduplicate=False)
    assert report.counts.used == len(SENTENCES)
    return path


def waveforms() -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [generator.standard_normal(samples).astype(np.float32) for samples in (24_000, 9_600, 40_000)]


def search_with_pyctcdecode(logits: Sequence[np.ndarray], labels: list[str], lm: Path, words: list[str]) -> list[str]:
    """pyctcdecode by itself, on logits of the source in the source's order of tokens."""
    pyctcdecode = pytest.importorskip("pyctcdecode", reason="needs pyctcdecode: make setup")
    model = pyctcdecode.LanguageModel(kenlm.Model(str(lm)), words, alpha=ALPHA, beta=BETA)
    decoder = pyctcdecode.BeamSearchDecoderCTC(pyctcdecode.Alphabet(labels, False), model)
    return [decoder.decode(rows, beam_width=100).strip() for rows in logits]


@torch.inference_mode()
def source_logits(model: Any, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The source's logits for each waveform alone, normalised with fairseq's epsilon, special tokens impossible."""
    rows = []
    for wave in waves:
        signal = torch.nn.functional.layer_norm(torch.from_numpy(wave), (len(wave),))[None]
        logits = model(signal).logits[0].numpy()
        logits[:, 1:4] = IMPOSSIBLE
        rows.append(logits)
    return rows


def decode(model: XLSRCTCModel, rows: Sequence[torch.Tensor]) -> list[str]:
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    return [hypothesis.text for hypothesis in decode_log_probs(model, padded, lengths)]


@pytest.mark.slow
def test_word_lm_of_an_imported_head_finds_what_pyctcdecode_finds_on_the_source(
    indic: tuple[Path, Any], imported: Path, word_lm: Path
):
    model = XLSRCTCModel.restore_from(str(imported)).eval()
    beam = {"ngram_lm_model": str(word_lm), "ngram_lm_alpha": ALPHA, "beam_beta": BETA}
    configure_decoding(model, {"strategy": "pyctcdecode", "beam": beam})
    found = decode(model, compute_log_probs(model, waveforms()))
    labels = ["", "<s>", "</s>", "<unk>", " ", *TOKENS[5:]]
    words = sorted({word for line in SENTENCES for word in line.split()})
    assert found == search_with_pyctcdecode(source_logits(indic[1], waveforms()), labels, word_lm, words)
    assert any("त्र" in row for row in found), found
    assert not any("<" in row for row in found)


def spell(model: XLSRCTCModel, frames: Sequence[dict[str, float]]) -> torch.Tensor:
    """Log-probabilities of frames that each give their labels these probabilities, with a blank between frames."""
    labels = list(model.decoder.vocabulary)
    rows = torch.full((2 * len(frames), len(labels) + 1), 1e-6)
    for number, frame in enumerate(frames):
        for label, probability in frame.items():
            rows[2 * number, labels.index(label)] = probability
        rows[2 * number + 1, -1] = 1.0
    return (rows / rows.sum(dim=1, keepdim=True)).log()


FRAMES = [{"म": 0.9}, {"ि": 0.9}, {"<s>": 0.6, "त्र": 0.2, "त": 0.25}, {" ": 0.9}, {"र": 0.9}, {"ा": 0.9}, {"त": 0.9}]


@pytest.mark.parametrize("strategy", ["beam_batch", "pyctcdecode"])
def test_language_model_prefers_a_token_of_several_characters_and_special_tokens_are_not_written(
    strategy: str, imported: Path, word_lm: Path, token_lm: Path
):
    model = XLSRCTCModel.restore_from(str(imported)).eval()
    rows = spell(model, FRAMES)
    lm = token_lm if strategy == "beam_batch" else word_lm
    configure_decoding(model, {"strategy": strategy, "beam": {"ngram_lm_model": str(lm), "beam_beta": 1.0}})
    assert decode(model, [rows]) == ["मित्र रात"]
    configure_decoding(model, {"strategy": "greedy_batch"})
    assert decode(model, [rows]) == ["मि<s> रात"], "as the source prints it"


def test_token_lm_scores_what_kenlm_scores_and_gives_special_tokens_next_to_nothing(
    imported: Path, token_lm: Path, text: Path, lmplz: str, tmp_path: Path
):
    from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

    labels = read_labels(imported)
    tokens = token_words(labels)
    lines = [line.replace("त्र", "\0") for line in SENTENCES]
    numbers = [[labels.index("त्र" if char == "\0" else char) for char in line] for line in lines]
    written = b"\n".join(b" ".join(tokens[number] for number in line) for line in numbers) + b"\n"
    command = [lmplz, "-o", "3", "--discount_fallback", "-S", "50M"]
    arpa = tmp_path / "tokens.arpa"
    arpa.write_bytes(subprocess.run(command, input=written, capture_output=True, check=True).stdout)
    reference = kenlm.Model(str(arpa))
    model = NGramGPULanguageModel.restore_from(str(token_lm), map_location="cpu")
    for line in numbers:
        sentence = " ".join(tokens[number].decode() for number in line)
        expected = [score * np.log(10) for score, _, _ in reference.full_scores(sentence)]
        states, scores = model.get_init_states(batch_size=1, bos=True), []
        for number in line:
            all_scores, next_states = model.advance(states)
            scores.append(float(all_scores[0, number]))
            states = next_states[:, number]
        np.testing.assert_allclose(scores, expected[:-1], rtol=0, atol=1e-4)
    first_scores, _ = model.advance(model.get_init_states(batch_size=1, bos=True))
    assert float(first_scores[0, labels.index("<unk>")]) < -200
    assert torch.isfinite(first_scores).all()


@pytest.fixture
def with_lm(word_lm: Path, tmp_path: Path) -> tuple[Path, Any]:
    """A Hugging Face folder with a word language model, saved by pyctcdecode itself, as on the hub."""
    pyctcdecode = pytest.importorskip("pyctcdecode", reason="needs pyctcdecode: make setup")
    folder = tmp_path / "huggingface"
    model = random_model(NAME, 0, TOKENS, layers=1)
    write_huggingface(folder, NAME, model, TOKENS)
    labels = ["", "<s>", "</s>", "⁇", " ", *TOKENS[5:]]
    shutil.copyfile(word_lm, tmp_path / "5gram.arpa")
    words = sorted({word for line in SENTENCES for word in line.split()})
    reader = kenlm.Model(str(tmp_path / "5gram.arpa"))
    decoder = pyctcdecode.BeamSearchDecoderCTC(
        pyctcdecode.Alphabet(labels, False), pyctcdecode.LanguageModel(reader, words, alpha=ALPHA, beta=BETA)
    )
    decoder.save_to_dir(str(folder))
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**content, "processor_class": "Wav2Vec2ProcessorWithLM"}))
    return folder, model


@pytest.mark.slow
def test_language_model_of_a_hugging_face_folder_is_bundled_and_finds_the_same_texts(
    with_lm: tuple[Path, Any], tmp_path: Path
):
    folder, _ = with_lm
    model, report = import_checkpoint(str(folder), ["unused"])
    assert any("language model: 5gram.arpa" in line and "used by default" in line for line in report)
    model.save_to(str(tmp_path / "x.nemo"))
    restored = XLSRCTCModel.restore_from(str(tmp_path / "x.nemo")).eval()
    beam = restored.cfg.decoding.beam
    assert (restored.cfg.decoding.strategy, beam.ngram_lm_alpha, beam.beam_beta) == ("pyctcdecode", ALPHA, BETA)
    configure_decoding(restored)
    found = decode(restored, compute_log_probs(restored, waveforms()))
    processor, source = AutoProcessor.from_pretrained(folder), Wav2Vec2ForCTC.from_pretrained(folder).eval()
    for wave, text in zip(waveforms(), found, strict=True):
        inputs = processor(wave, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            logits = source(**inputs).logits[0].numpy()
        logits[:, 1:4] = IMPOSSIBLE
        assert text == processor.decode(logits).text.strip()


@pytest.mark.slow
def test_language_model_that_cannot_be_used_is_reported_and_the_rest_is_imported(with_lm: tuple[Path, Any]):
    folder, _ = with_lm
    (folder / "language_model" / "second.arpa").write_text("")
    model, report = import_checkpoint(str(folder), ["unused"])
    assert model.cfg.decoding.strategy == "greedy_batch"
    assert any(line.startswith("left out: language_model") and "second.arpa" in line for line in report)
    (folder / "language_model" / "second.arpa").unlink()
    attributes = folder / "language_model" / "attrs.json"
    changed = {**json.loads(attributes.read_text()), "unk_score_offset": -5.0}
    attributes.write_text(json.dumps(changed))
    unigrams = folder / "language_model" / "unigrams.txt"
    unigrams.write_text("\n".join(unigrams.read_text(encoding="utf-8").split()[1:]), encoding="utf-8")
    report = import_checkpoint(str(folder), ["unused"]).report
    assert any("unk_score_offset=-5.0 of the source is not used" in line for line in report)
    assert any("unigrams.txt lists" in line and "texts may differ" in line for line in report)
    assert OmegaConf.select(import_checkpoint(str(folder), [" ", "क"], head="new").model.cfg, "decoding.strategy") == (
        "greedy_batch"
    )
