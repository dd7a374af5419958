"""Phrases that no language model saw: found more often, and nothing else written for them."""

import jiwer
import pytest
from omegaconf import OmegaConf

from data_prep.text.alphabet import load_alphabet
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.phrase_boosting import Phrase, build_boosting_tree, phrase_settings, read_phrases
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.language_models import ngram_lm
from recogniser import read_sentences, recognise, synthesize

LABELS = load_alphabet()
NAMES = ("मृगांक", "पुरुषोत्तम", "शकुंतला", "विश्वनाथ", "अनिरुद्ध", "त्रिलोचन", "गोरखपुर", "हल्द्वानी", "जबलपुर", "देवप्रयाग")
TEMPLATES = ("कल {} आया था", "मेरे साथ {} भी चलेगा", "यह किताब {} की है")


@pytest.fixture
def model(recogniser):
    yield recogniser
    recogniser.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


@pytest.fixture(scope="module")
def token_lm(lmplz, tmp_path_factory):
    text = tmp_path_factory.mktemp("lm") / "text.txt"
    sentences = read_sentences("lm", 200)
    assert not [name for name in NAMES if name in " ".join(sentences)]
    text.write_text("\n".join(sentences), encoding="utf-8")
    ngram_lm.train_ngram_lm([text], LABELS, text.with_suffix(".nemo"), order=4)
    return text.with_suffix(".nemo")


def _decode(model, token_lm, output, phrases_file=None, **boosting):
    beam = {"beam_size": 16, "ngram_lm_model": str(token_lm)}
    settings = {"phrases_file": str(phrases_file), **boosting} if phrases_file else None
    configure_decoding(model, {"strategy": "beam_batch", "beam": beam}, settings)
    return [hyp.text for hyp in decode_log_probs(model, *output)]


@pytest.mark.slow
def test_names_are_found(model, token_lm, tmp_path, monkeypatch):
    sentences = [TEMPLATES[index % len(TEMPLATES)].format(name) for index, name in enumerate(NAMES)]
    plain = read_sentences("test", 6)
    output = recognise(model, synthesize("espeak-steph2-p50-s155", [*sentences, *plain], tmp_path))
    phrases_file = tmp_path / "names.txt"
    phrases_file.write_text("\n".join(NAMES) + "\n", encoding="utf-8")

    def count(texts):
        return sum(name in text.split() for name, text in zip(NAMES, texts, strict=False))

    without = _decode(model, token_lm, output)
    boosted = _decode(model, token_lm, output, phrases_file)
    assert count(boosted) >= count(without) + 3
    assert jiwer.wer(sentences, boosted[: len(NAMES)]) < jiwer.wer(sentences, without[: len(NAMES)])
    assert not any(name in text for text in boosted[len(NAMES) :] for name in NAMES)
    assert boosted[len(NAMES) :] == without[len(NAMES) :]

    model.transcribe([model.encoder.input_example()[0][0].numpy()], timestamps=True, verbose=False)  # decoding anew
    assert [hyp.text for hyp in decode_log_probs(model, *output)] == boosted
    monkeypatch.setattr(CompiledBeamCTCComputer, "replacing", lambda computer: computer)
    assert _decode(model, token_lm, output, phrases_file) == boosted  # NeMo's own search, which a GPU runs


def test_weights_are_those_of_the_file(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("\ufeffराम।\t2\n\n सीता  देवी \nराम\t0.5\n", encoding="utf-8")
    phrases = read_phrases(path, LABELS)
    assert phrases == [Phrase("राम", 0.5), Phrase("सीता देवी", 1.0)]
    settings = OmegaConf.create(phrase_settings(phrases, 0.3))
    assert settings.boosting_tree_alpha == 0.3
    defaults = {"context_score": 1.0, "depth_scaling": 2.0, "unk_score": 0.0, "final_eos_score": 1.0}
    config = OmegaConf.merge(settings.boosting_tree, defaults, {"uniform_weights": False})
    tree = build_boosting_tree(config, LABELS)
    scores, _ = tree.advance(tree.get_init_states(batch_size=1, bos=True))
    assert scores[0, LABELS.index("र")] == 0.5
    assert scores[0, LABELS.index("स")] == scores[0, LABELS.index(" ")] == 1.0
    assert scores[0, LABELS.index("क")] == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("राम\nOK सर\n", r"phrases\.txt:2: found U\+004F LATIN CAPITAL LETTER O, U\+004B .* in 'OK सर'"),
        ("राम\n...\n", r"phrases\.txt:2: found nothing that is spoken in '\.\.\.'"),
        ("राम\tबहुत\n", "found the weight 'बहुत' of 'राम', expected a number above 0"),
        ("राम\t-1\n", "the weight '-1' of 'राम'"),
        ("राम\tnan\n", "the weight 'nan' of 'राम'"),
        ("\n\n", "found no phrase"),
        (b"\xff\xfe\x00", "expected UTF-8 text"),
    ],
)
def test_bad_files_are_named(model, tmp_path, text, message):
    path = tmp_path / "phrases.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        configure_decoding(model, {"strategy": "beam_batch"}, {"phrases_file": str(path)})
    assert "\n" not in str(error.value)


def test_bad_settings_are_named(model, tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("राम\n", encoding="utf-8")
    cases = (
        ({"strategy": "greedy_batch"}, {"phrases_file": str(path)}, "strategy=beam_batch, found greedy_batch"),
        ({"strategy": "beam_batch"}, {"phrases_file": str(path), "weight": "much"}, "boosting.weight=much"),
        ({"strategy": "beam_batch"}, {"phrases_file": str(path), "weight": 0}, "boosting.weight=0"),
        (
            {"strategy": "beam_batch", "beam": {"boosting_tree": {"key_phrases_file": "x"}}},
            None,
            "expected key_phrases_list",
        ),
        (
            {"strategy": "beam_batch", "beam": {"boosting_tree": {"key_phrases_list": ["OK"]}}},
            None,
            "found 'KO'; spell",
        ),
    )
    for ctc_decoding, boosting, message in cases:
        with pytest.raises(ValueError, match=message):
            configure_decoding(model, ctc_decoding, boosting)
    with pytest.raises(FileNotFoundError, match=r"absent\.txt: no such file of phrases"):
        configure_decoding(model, {"strategy": "beam_batch"}, {"phrases_file": "absent.txt"})
    configure_decoding(model, {"strategy": "beam_batch"}, {"phrases_file": None, "weight": None})
