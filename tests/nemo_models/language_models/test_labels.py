import json

import pytest
from transformers import Wav2Vec2CTCTokenizer

from nemo_models.language_models.labels import LabelTokenizer, find_special_tokens

LABELS = ["<s>", "</s>", "<unk>", " ", "त", "्", "र", "क", "ी", "त्र", "[UNK]", "madeupword0000", "़", "ज़"]


def test_special_tokens_are_those_that_no_text_contains():
    assert find_special_tokens(LABELS) == [0, 1, 2, 10, 11]
    assert find_special_tokens([" ", "<", ">", "[", "]", "'", "|", "⁇"]) == []


def test_text_is_written_as_transformers_writes_it(tmp_path):
    vocabulary = ["<pad>", *("|" if label == " " else label for label in LABELS[:10])]
    (tmp_path / "vocab.json").write_text(
        json.dumps({token: row for row, token in enumerate(vocabulary)}), encoding="utf-8"
    )
    reference = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    tokenizer = LabelTokenizer(LABELS[:10])
    # transformers drops spaces beside tokens of several characters; here they stay, so the texts have none there
    for text in ("त्रक", "तर क्र", "रत्र्त्रत्रक कत्री", "क"):
        assert tokenizer.encode(text) == [row - 1 for row in reference(text).input_ids], text


def test_text_that_the_labels_cannot_write_is_none():
    tokenizer = LabelTokenizer(["क", "ज़", "त्र"])
    assert tokenizer.characters == set("कज़त्र")
    assert [tokenizer.can_write(text) for text in ("कज़", "ज", "त्रक", "त्", "")] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["▁क", "ख"], "expected characters"), (["<s>"], "expected characters"), (["क", "क"], "expected each label once")],
    ids=["subwords", "only special", "twice"],
)
def test_labels_of_other_models_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        LabelTokenizer(labels)
