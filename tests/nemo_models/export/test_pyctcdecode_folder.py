import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC

from family import ENGLISH
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_config, model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.huggingface import compare_huggingface, write_huggingface
from nemo_models.export.probes import TOLERANCE
from topology import architecture

ARPA = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-9.0	<unk>
-99	<s>	-0.3
-1.0	</s>
-1.0	कल	-0.3
-5.0	काल	-0.3
-1.0	abc	-0.3

\\2-grams:
-0.1	<s> कल
-0.1	कल </s>

\\end\\
"""
ONE_GRAMS = ARPA.split("\\2-grams")[0].replace("ngram 2=2\n", "") + "\\end\\\n"


def test_language_model_decides_where_the_model_does_not(tmp_path: Path):
    pytest.importorskip(
        "pyctcdecode", reason="needs pyctcdecode: pip install 'pygtrie<3'; pip install --no-deps pyctcdecode==0.5.0"
    )
    folder = export_with_lm(tmp_path, ARPA)
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == "Wav2Vec2ProcessorWithLM"
    logits = np.full((1, 7, 5), -9.0, dtype=np.float32)
    for frame, classes in enumerate([(1,), (4,), (2, 4), (4,), (3,), (4,), (4,)]):
        logits[0, frame, list(classes)] = 0.0
    logits[0, 2, 2] = 0.2  # the vowel sign is a little likelier than none: greedily काल
    greedy = processor.tokenizer.decode(logits[0].argmax(-1))
    assert (greedy, processor.batch_decode(logits).text[0]) == ("काल", "कल")


def export_with_lm(tmp_path: Path, arpa: str) -> Path:
    (tmp_path / "lm.arpa").write_text(arpa, encoding="utf-8")
    model = XLSRCTCModel(cfg=model_config(architecture(), [" ", "क", "ा", "ल"], normalize=True, epsilon=1e-7)).eval()
    folder = tmp_path / "exported"
    folder.mkdir()
    notes = write_huggingface(model, folder, lm=tmp_path / "lm.arpa", lm_alpha=0.7, lm_beta=1.5)
    assert notes == ["language model: 2 of 3 words can be written with the model's labels"]
    return folder


@pytest.mark.parametrize(
    "tokens",
    [
        [*ENGLISH[:5], "क", "ा"],
        ["|", "क", "ा", "ल", "[UNK]", "[PAD]"],
        ["[PAD]", "[UNK]", "|", "क", "ा", "ल", "<s>", "</s>"],
    ],
    ids=["fairseq", "none begins a sentence", "those at the end"],
)
def test_language_model_beside_a_head_with_special_tokens_can_be_opened(tokens: list, tmp_path: Path):
    pytest.importorskip("pyctcdecode", reason="needs pyctcdecode: make setup")
    torch.manual_seed(3)
    blank, unknown = (next(token for token in tokens if name in token.lower()) for name in ("pad", "unk"))
    config = Wav2Vec2Config(**architecture(), vocab_size=len(tokens), pad_token_id=tokens.index(blank))
    Wav2Vec2ForCTC(config).save_pretrained(tmp_path / "source")
    (tmp_path / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"), pad_token=blank, unk_token=unknown)
    tokenizer.save_pretrained(tmp_path / "source")
    model = model_from_checkpoint(load_checkpoint(str(tmp_path / "source")))
    (tmp_path / "lm.arpa").write_text(ARPA.replace("कल", "क").replace("काल", "का"), encoding="utf-8")
    (tmp_path / "back").mkdir()
    write_huggingface(model, tmp_path / "back", lm=tmp_path / "lm.arpa")
    assert compare_huggingface(model, tmp_path / "back") <= TOLERANCE
    processor = AutoProcessor.from_pretrained(tmp_path / "back")
    assert type(processor).__name__ == "Wav2Vec2ProcessorWithLM"
    expected = {blank: "", unknown: "⁇", "|": " "}
    assert processor.decoder._alphabet.labels == [expected.get(token, token) for token in tokens]
    assert processor.tokenizer.get_vocab() == {token: row for row, token in enumerate(tokens)}
    again = model_from_checkpoint(load_checkpoint(str(tmp_path / "back")))
    assert again.cfg.source_vocabulary == model.cfg.source_vocabulary


def test_comparison_tells_a_language_model_that_transformers_cannot_open(tmp_path: Path):
    pytest.importorskip("pyctcdecode", reason="needs pyctcdecode: make setup")
    model = XLSRCTCModel(cfg=model_config(architecture(), [" ", "क", "ा", "ल"], normalize=True, epsilon=1e-7)).eval()
    folder = export_with_lm(tmp_path, ARPA)
    (folder / "alphabet.json").write_text('{"labels": [" ", "क", ""], "is_bpe": false}', encoding="utf-8")
    with pytest.raises(ValueError, match="transformers cannot open the language model"):
        compare_huggingface(model, folder)


def test_language_model_folder_is_what_pyctcdecode_reads(tmp_path: Path):
    folder = export_with_lm(tmp_path, ARPA)
    assert json.loads((folder / "alphabet.json").read_text(encoding="utf-8")) == {
        "labels": [" ", "क", "ा", "ल", ""],  # by row of the head; pyctcdecode's blank is the empty one
        "is_bpe": False,
    }
    assert sorted(path.name for path in (folder / "language_model").iterdir()) == [
        "attrs.json",
        "lm.arpa",
        "unigrams.txt",
    ]
    assert (folder / "language_model/unigrams.txt").read_text(encoding="utf-8") == "कल\nकाल\n"
    assert (folder / "language_model/lm.arpa").read_text(encoding="utf-8") == ARPA
    settings = json.loads((folder / "language_model/attrs.json").read_text())
    assert (settings["alpha"], settings["beta"]) == (0.7, 1.5)
    config = json.loads((folder / "preprocessor_config.json").read_text())
    assert config["processor_class"] == "Wav2Vec2ProcessorWithLM"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lm.bin", b"mmap lm http://kheafield.com/code", "a KenLM binary without its words"),
        ("lm.arpa", ARPA.replace("कल", "xyz").replace("काल", "z").encode(), "found 3 words, none of which"),
        ("lm.arpa", ARPA.split("कल")[0].encode(), "found an incomplete ARPA language model"),
        ("lm.arpa", ARPA.split("\\2-grams")[0].encode(), "found an incomplete ARPA language model"),
        ("lm.arpa", ONE_GRAMS.encode(), "found order 1, which KenLM does not open"),
        ("lm.arpa", ARPA.replace("-1.0\tabc\t-0.3", "abc").encode(), r"lm\.arpa: .*found 'abc', expected a score"),
        ("lm.arpa.gz", gzip.compress(ARPA.encode())[:60], "found an incomplete gzip file"),
        ("lm.arpa", ARPA.encode("utf-16"), "found UTF-16 text"),
        ("lm.arpa", ARPA.encode("utf-16-le"), "found an incomplete ARPA language model"),
    ],
)
def test_other_files_than_a_word_language_model_are_refused(
    tiny_model: XLSRCTCModel, tmp_path: Path, name: str, content: bytes, message: str
):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "exported").mkdir()
    with pytest.raises(ValueError, match=message):
        write_huggingface(tiny_model, tmp_path / "exported", lm=tmp_path / name)
