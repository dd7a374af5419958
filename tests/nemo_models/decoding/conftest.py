"""A model that recognises what it is given, language models for it, and one of several searches."""

import pytest

from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.language_models import ngram_lm
from recogniser import read_sentences, recognise, synthesize
from searches import LABELS


@pytest.fixture(scope="session")
def token_lm(lmplz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("token_lm")
    (folder / "text.txt").write_text("\n".join(read_sentences("lm", 200)), encoding="utf-8")
    ngram_lm.train_ngram_lm([folder / "text.txt"], LABELS, folder / "lm.nemo", order=4)
    return folder / "lm.nemo"


@pytest.fixture(scope="session")
def word_lm(lmplz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("word_lm")
    (folder / "text.txt").write_text("\n".join(read_sentences("lm", 200)), encoding="utf-8")
    ngram_lm.train_ngram_lm([folder / "text.txt"], LABELS, folder / "words.arpa", order=2, kind="word")
    return folder / "words.arpa"


@pytest.fixture
def model(recogniser):
    yield recogniser
    recogniser.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


@pytest.fixture
def use(model, token_lm, word_lm, monkeypatch):
    """Configure one of `SEARCHES`."""

    def configure(search: str, **settings):
        beam = {"beam_size": 8}
        if "LM" in search:
            beam["ngram_lm_model"] = str(token_lm)
        if "own" in search:
            monkeypatch.setattr(CompiledBeamCTCComputer, "replacing", lambda computer: computer)
        if search == "pyctcdecode":
            beam["ngram_lm_model"] = str(word_lm)
        strategy = {"greedy": "greedy_batch", "pyctcdecode": "pyctcdecode"}.get(search, "beam_batch")
        configure_decoding(model, {"strategy": strategy, "beam": beam, **settings})

    return configure


@pytest.fixture(scope="session")
def spoken(recogniser, tmp_path_factory):
    """Unseen sentences by an unseen voice: sentences and waveforms, of unlike length."""
    sentences = read_sentences("test", 8)
    return sentences, synthesize("espeak-steph2-p50-s155", sentences, tmp_path_factory.mktemp("spoken"))


@pytest.fixture(scope="session")
def output(recogniser, spoken):
    """Log-probabilities and lengths of `spoken`, in one padded batch."""
    return recognise(recogniser, spoken[1])
