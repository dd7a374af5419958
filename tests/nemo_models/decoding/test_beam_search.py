"""The compiled beam search against NeMo's own, bit for bit: on noise, on ties, on real model output."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from nemo.collections.asr.parts.context_biasing import GPUBoostingTreeModel
from nemo.collections.asr.parts.context_biasing.context_graph_universal import ContextGraph
from nemo.collections.asr.parts.submodules.ctc_batched_beam_decoding import BatchedBeamCTCComputer
from nemo.collections.asr.parts.submodules.ctc_beam_decoding import BeamBatchedCTCInfer
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from data_prep.text.alphabet import load_alphabet
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer, read_fusion_model
from nemo_models.decoding.beam_search_kernel import __file__ as KERNEL_FILE

LABELS = load_alphabet()
BLANK = len(LABELS)
FUSIONS = ("none", "lm", "boosting", "both")


@pytest.fixture(scope="module")
def fusions(hindi_lm):
    """Fusion models and their weights, by name. The boosted phrases overlap, so that backing off matters."""
    lm = NGramGPULanguageModel.from_file(hindi_lm, vocab_size=BLANK)
    graph = ContextGraph(context_score=1.0, depth_scaling=2.0)
    phrases = ["किताब", "कितना", "तब", "नमस्ते"]
    tokens = [[LABELS.index(character) for character in phrase] for phrase in phrases]
    graph.build(token_ids=tokens, phrases=phrases, scores=[0.0] * len(phrases), uniform_weights=False)
    tree = GPUBoostingTreeModel.from_context_graph(graph, vocab_size=BLANK, use_triton=False, uniform_weights=False)
    return {"none": (None, None), "lm": ([lm], [0.7]), "boosting": ([tree], [0.9]), "both": ([lm, tree], [0.7, 0.9])}


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    """NeMo's search, the reference, is many times slower with threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def lowest_index_wins(monkeypatch):
    """Make `torch.topk` choose as the compiled search does where scores are equal, which it leaves open by itself."""

    def topk(scores, k, **_):
        values, indices = torch.sort(scores, dim=-1, descending=True, stable=True)
        return values[..., :k].clone(), indices[..., :k].clone()

    monkeypatch.setattr(torch, "topk", topk)


def _searches(fusion=(None, None), beam_size=8, beta=1.3, threshold=20.0, blank=BLANK):
    models, alphas = fusion
    nemo = BatchedBeamCTCComputer(
        blank_index=blank,
        beam_size=beam_size,
        fusion_models=models,
        fusion_models_alpha=alphas,
        beam_beta=beta,
        beam_threshold=threshold,
        allow_cuda_graphs=False,
    )
    return nemo, CompiledBeamCTCComputer.replacing(nemo)


def _noise(frames, scale=3.0, seed=0, batch=1):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(batch, frames, BLANK + 1, generator=generator)).log_softmax(-1)


def _nbest(search, log_probs, lengths=None, score_norm=False):
    lengths = torch.tensor([log_probs.shape[1]] * len(log_probs)) if lengths is None else lengths
    lists = search(x=log_probs, out_len=lengths).to_nbest_hyps_list(score_norm=score_norm)
    return [[_plain(hypothesis) for hypothesis in nbest.n_best_hypotheses] for nbest in lists]


def _plain(hypothesis):
    return hypothesis.score, hypothesis.y_sequence.tolist(), hypothesis.timestamp.tolist()


# Equality is exact throughout: both add the same float32 numbers in the same order.


@pytest.mark.parametrize("beam_size", [1, 2, 5, 16, 32])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_finds_what_nemo_finds(fusions, fusion, beam_size):
    nemo, ours = _searches(fusions[fusion], beam_size)
    for seed, scale in enumerate((0.5, 3.0, 8.0)):  # from no idea to nearly sure
        log_probs = _noise(40, scale, seed)
        assert _nbest(ours, log_probs) == _nbest(nemo, log_probs)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_finds_what_nemo_finds_in_ties(fusions, fusion, lowest_index_wins):
    """Log-probs in steps of 1/2, so that many candidates are equal to the last bit."""
    for beam_size in (1, 3, 16):
        nemo, ours = _searches(fusions[fusion], beam_size, beta=0.5)
        for seed in range(3):
            log_probs = (2 * _noise(25, 1.0, seed)).round() / 2
            assert _nbest(ours, log_probs) == _nbest(nemo, log_probs)


@pytest.mark.parametrize("fusion", ["none", "both"])
@pytest.mark.parametrize("case", ["flat", "impossible labels", "one frame", "repeats", "blanks", "far apart"])
def test_finds_what_nemo_finds_at_the_edges(fusions, fusion, case, lowest_index_wins):
    nemo, ours = _searches(fusions[fusion], 8)
    log_probs = {
        "flat": lambda: torch.full((1, 12, BLANK + 1), -4.0),
        "impossible labels": lambda: _noise(20).masked_fill(torch.arange(BLANK + 1) % 3 == 0, -torch.inf),
        "one frame": lambda: _noise(1),
        "repeats": lambda: _noise(1).repeat(1, 15, 1),
        "blanks": lambda: _noise(30) + 9.0 * (torch.arange(BLANK + 1) == BLANK),
        "far apart": lambda: _noise(20, scale=200.0),
    }[case]()
    assert _nbest(ours, log_probs) == _nbest(nemo, log_probs)


@pytest.mark.parametrize(
    "settings", [{"threshold": 0.7}, {"threshold": np.inf}, {"beta": 0.0}, {"beta": -2.0}, {"blank": 0}]
)
def test_settings_have_nemos_meaning(settings):
    nemo, ours = _searches(beam_size=6, **settings)
    for seed in range(3):
        assert _nbest(ours, _noise(30, seed=seed)) == _nbest(nemo, _noise(30, seed=seed))


def test_negative_weights_and_weights_set_later(fusions):
    models, _ = fusions["both"]
    nemo, ours = _searches((models, [0.2, 0.3]))
    _nbest(ours, _noise(3))
    for search in (nemo, ours):
        search.fusion_models_alpha, search.beam_beta, search.beam_size = [-0.4, 1.5], 0.2, 3
    assert _nbest(ours, _noise(30)) == _nbest(nemo, _noise(30))


@pytest.mark.parametrize("fusion", ["none", "both"])
def test_finds_what_nemo_finds_on_model_output(tiny_model, speech, fusions, fusion):
    nemo, ours = _searches(fusions[fusion], 16)
    for wave in speech[:2]:
        signal = torch.from_numpy(wave[:48_000])[None]
        with torch.inference_mode():
            log_probs, frames, _ = tiny_model(input_signal=signal, input_signal_length=torch.tensor([signal.shape[1]]))
            found = _nbest(ours, log_probs, frames)
            assert found == _nbest(nemo, log_probs, frames)
        assert found[0][0][1], "a text to compare"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_utterance_does_not_depend_on_its_batch(fusions, threads):
    """Nor on what stands in its padding, nor on the order; NeMo's search alone is the reference."""
    nemo, ours = _searches(fusions["both"])
    ours.threads = threads
    log_probs, lengths = _noise(40, batch=4), torch.tensor([13, 40, 0, 27])
    log_probs[2] = torch.nan
    together = _nbest(ours, log_probs, lengths)
    assert _nbest(ours, log_probs.flip(0), lengths.flip(0)) == together[::-1]
    for row in (0, 1, 3):
        assert [together[row]] == _nbest(nemo, log_probs[row : row + 1, : lengths[row]])
    lm = fusions["lm"][0][0]
    nothing_said = 0.7 * lm.get_final(lm.get_init_states(1)).item()
    assert together[2] == [(pytest.approx(nothing_said, rel=1e-6), [], [])]  # rel: one float32 rounding


@pytest.mark.parametrize("score_norm", [False, True])
def test_best_and_order_of_the_n_best_are_nemos(fusions, score_norm):
    nemo, ours = _searches(fusions["lm"], 16, beta=-3.0)  # short texts and long ones in the same beam
    log_probs, lengths = _noise(30, scale=1.0, batch=3), torch.tensor([30, 30, 30])
    assert _nbest(ours, log_probs, score_norm=score_norm) == _nbest(nemo, log_probs, score_norm=score_norm)
    best = [search(log_probs, lengths).to_hyps_list(score_norm=score_norm) for search in (ours, nemo)]
    assert [_plain(hypothesis) for hypothesis in best[0]] == [_plain(hypothesis) for hypothesis in best[1]]


def test_durations_are_the_frames_on_the_path():
    nemo, ours = _searches(beam_size=4)
    log_probs = _noise(20, batch=2).repeat_interleave(3, dim=1)  # so that labels last
    lengths = torch.tensor([60, 60])
    found = ours(log_probs, lengths).to_hyps_list(score_norm=False)
    theirs = nemo(log_probs, lengths)
    theirs.flatten_sort_(score_norm=False)
    for hypothesis, path in zip(found, theirs.transcript_wb[:, 0, :60], strict=True):
        rebuilt = torch.full((60,), BLANK)
        for token, begin, frames in zip(
            hypothesis.y_sequence, hypothesis.timestamp, hypothesis.token_duration, strict=True
        ):
            rebuilt[begin : begin + frames] = int(token)
        assert torch.equal(rebuilt, path)
        assert (hypothesis.token_duration > 1).any()


@pytest.mark.parametrize("spoilt", [torch.nan, -torch.inf, torch.inf])
def test_an_utterance_without_a_finite_score_gets_an_empty_hypothesis(spoilt):
    _, ours = _searches()
    log_probs = _noise(10, batch=2)
    log_probs[0, 4] = spoilt
    found = _nbest(ours, log_probs)
    assert found == [[(-np.inf, [], [])], *_nbest(ours, log_probs[1:])]
    assert len(ours(log_probs, torch.tensor([10, 10])).to_hyps_list()) == 2


def test_replaces_nemos_search_in_its_decoder(hindi_lm):
    arguments = {"blank_index": BLANK, "beam_size": 4, "ngram_lm_model": str(hindi_lm), "return_best_hypothesis": False}
    decoder = BeamBatchedCTCInfer(**arguments, allow_cuda_graphs=False)
    log_probs, lengths = _noise(20), torch.tensor([20])
    (expected,) = decoder(decoder_output=log_probs, decoder_lengths=lengths)
    decoder.search_algorithm = CompiledBeamCTCComputer.replacing(decoder.search_algorithm)
    (found,) = decoder(decoder_output=log_probs, decoder_lengths=lengths)
    assert [_plain(h) for h in found[0].n_best_hypotheses] == [_plain(h) for h in expected[0].n_best_hypotheses]


def test_nemo_searches_on_other_devices(monkeypatch):
    _, ours = _searches()
    monkeypatch.setattr(BatchedBeamCTCComputer, "__call__", lambda self, x, out_len: (x, out_len))
    x, out_len = torch.empty(1, 5, BLANK + 1, device="meta"), torch.tensor([5])
    assert ours(x, out_len) == (x, out_len)


@pytest.mark.parametrize(
    "wrong", [{"beam_size": 0}, {"beam_threshold": 0.0}, {"beam_threshold": np.nan}, {"threads": 0}]
)
def test_a_setting_out_of_range_is_named(wrong):
    """When it is given and when it is set later: the compiled search would write outside its arrays."""
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=name):
        CompiledBeamCTCComputer(blank_index=BLANK, **{"beam_size": 4, "allow_cuda_graphs": False, **wrong})
    _, ours = _searches()
    setattr(ours, name, value)
    with pytest.raises(ValueError, match=name):
        _nbest(ours, _noise(3))


def test_fusion_models_that_do_not_fit_are_refused(fusions):
    models, _ = fusions["lm"]
    for fusion, blank, message in (
        ((models, [0.5, 0.5]), BLANK, "fusion_models_alpha"),
        ((models, [0.5]), 0, f"expected 0 to {BLANK}, with fusion models {BLANK}"),
        ((None, None), BLANK + 1, f"blank_index={BLANK + 1}"),
    ):
        with pytest.raises(ValueError, match=message):
            _nbest(_searches(fusion, blank=blank)[1], _noise(3))
    with pytest.raises(ValueError, match=f"found {BLANK} labels, expected the acoustic model's {BLANK - 1}"):
        _nbest(_searches((models, [0.5]), blank=BLANK - 1)[1], _noise(3)[..., 1:])


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("to_states", 10**6),
        ("to_states", -1),
        ("ilabels", BLANK),
        ("start_end_arcs", 10**6),
        ("backoff_to_states", -1),
        ("backoff_to_states", 5),
    ],
)
def test_a_damaged_language_model_is_refused(hindi_lm, tensor, value):
    """The compiled search would read, and write, outside its arrays, or never end."""
    lm = NGramGPULanguageModel.from_file(hindi_lm, vocab_size=BLANK)
    with torch.no_grad():
        getattr(lm, tensor)[5] = value
    with pytest.raises(ValueError, match="damaged"):
        read_fusion_model(lm, BLANK)


@pytest.mark.slow
def test_compiled_code_is_kept(tmp_path):
    """In `NUMBA_CACHE_DIR` where that is set; a second process compiles nothing."""
    code = """
import importlib.util, sys
specification = importlib.util.spec_from_file_location("kernel", sys.argv[1])  # without its package, which imports NeMo
kernel = sys.modules["kernel"] = importlib.util.module_from_spec(specification)
specification.loader.exec_module(kernel)
kernel._holds(kernel._make_beam(1, 0), 0, 0, 0, 0)
print(sum(kernel._holds.stats.cache_hits.values()), sum(kernel._holds.stats.cache_misses.values()))"""
    command, environment = [sys.executable, "-c", code, KERNEL_FILE], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert runs == [["0", "1"], ["1", "0"]]
