"""Cost and error rate of decoding: greedy, NeMo's beam search, the compiled one, pyctcdecode, on equal log-probs.

python scripts/benchmarks/decode.py model.nemo test_manifest.json text.txt[,more.txt] [seconds of audio, 600]

Prints markdown: the time to load the language models; error rates, CPU and wall-clock time for each second of audio on
one core and on two, and the share of the encoder's time on one core. Greedy decoding and NeMo's search use torch's
threads, the compiled search one thread for each utterance of a batch; pyctcdecode uses one thread. Linux only.
"""

import ctypes
import gc
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from nemo.collections.asr.parts.submodules.ctc_batched_beam_decoding import BatchedBeamCTCComputer
from nemo.collections.asr.parts.submodules.ctc_beam_decoding import PyCTCDecodeConfig
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel
from nemo.utils import logging

from data_prep.manifest import read_manifest, resolve_audio_path
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.strategy import configure_decoding, mask_log_probs
from nemo_models.decoding.word_lm_search import WordLMSearch
from nemo_models.evaluation.scoring import score_texts
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.language_models.ngram_lm import train_ngram_lm

BATCH_SIZE = 16
BEAM_SIZES = (4, 8, 16)
TWO_CORES_EVERY = 4  # batches: NeMo's search is slower on two cores than on one, and all of it would take minutes
NEAR_BEST = 0.2  # WER points, absolute: what counts as good as the best


@dataclass(frozen=True)
class DecodingFigures:
    name: str
    wer: float  # per cent
    cer: float
    cpu_ms: float  # for each second of audio, on one core
    wall_ms_1: float  # the same by the clock
    wall_ms_2: float  # on two cores
    texts: list[str]


def use_cores(count: int) -> None:
    os.sched_setaffinity(0, sorted(ALL_CORES)[:count])
    torch.set_num_threads(count)


def read_utterances(manifest: str, seconds: float) -> tuple[list, list[str]]:
    """As many utterances as fit, evenly from the whole manifest, longest first as a job has them."""
    rows = [row for row in read_manifest(manifest) if row["text"].strip()]
    step = max(1, round(sum(row["duration"] for row in rows) / seconds))
    rows = sorted(rows[::step], key=lambda row: -row["duration"])
    waves = [soundfile.read(resolve_audio_path(row["audio_filepath"], manifest), dtype="float32")[0] for row in rows]
    return [torch.from_numpy(wave) for wave in waves], [row["text"] for row in rows]


def compute_batches(model, waves: list) -> list:
    batches = []
    for start in range(0, len(waves), BATCH_SIZE):
        part = waves[start : start + BATCH_SIZE]
        signal = torch.nn.utils.rnn.pad_sequence(part, batch_first=True)
        with torch.inference_mode():
            log_probs, lengths, _ = model(input_signal=signal, input_signal_length=torch.tensor(list(map(len, part))))
        batches.append((mask_log_probs(log_probs.float(), lengths, log_probs.shape[-1] - 1), lengths))
    return batches


def decode(model, batches: list) -> list[str]:
    with torch.inference_mode():
        return [best[0].text for log_probs, lengths in batches for best in model.decoding.decode(log_probs, lengths)]


def measure(name: str, model, batches: list, references: list[str], audio_s: float) -> DecodingFigures:
    search = getattr(model.decoding.decoding, "search_algorithm", None)
    decode(model, batches[-1:])  # compiled, loaded, warm
    cpu_began, began = time.process_time(), time.perf_counter()
    texts = decode(model, batches)
    cpu_ms = 1000 * (time.process_time() - cpu_began) / audio_s
    wall_ms = [1000 * (time.perf_counter() - began) / audio_s]
    use_cores(2)
    if isinstance(search, CompiledBeamCTCComputer):
        search.threads = 2
    part = batches[::TWO_CORES_EVERY]
    part_s = sum(int(lengths.sum()) for _, lengths in part) * model.decoding.frame_s
    began = time.perf_counter()
    decode(model, part)
    wall_ms.append(1000 * (time.perf_counter() - began) / part_s)
    use_cores(1)
    scores = score_texts(references, texts)
    print(f"{name}: {scores}, {cpu_ms:.2f} ms", file=sys.stderr, flush=True)
    return DecodingFigures(name, 100 * scores.wer, 100 * scores.cer, cpu_ms, *wall_ms, texts)


def run_all(
    model, batches: list, references: list[str], audio_s: float, token_lm: Path, word_lm: Path
) -> list[DecodingFigures]:
    rows = []

    def add(name: str) -> None:
        rows.append(measure(name, model, batches, references, audio_s))

    configure_decoding(model, {"strategy": "greedy_batch"})
    add("greedy")
    for lm, lm_name in ((None, ""), (str(token_lm), " + character 6-gram")):
        for beam_size in BEAM_SIZES:
            beam = {"beam_size": beam_size, "ngram_lm_model": lm}
            configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
            add(f"beam {beam_size}{lm_name}, compiled")
            ours = model.decoding.decoding.search_algorithm
            model.decoding.decoding.search_algorithm = BatchedBeamCTCComputer(
                blank_index=len(model.decoder.vocabulary),
                beam_size=beam_size,
                fusion_models=ours.fusion_models,
                fusion_models_alpha=ours.fusion_models_alpha,
                beam_beta=ours.beam_beta,
                beam_threshold=ours.beam_threshold,
                allow_cuda_graphs=False,
            )
            add(f"beam {beam_size}{lm_name}, NeMo's")
            same = sum(a == b for a, b in zip(rows[-1].texts, rows[-2].texts, strict=True))
            print(f"{same} of {len(references)} texts the same", file=sys.stderr, flush=True)
    configure_decoding(model, {"strategy": "pyctcdecode", "beam": {"ngram_lm_model": str(word_lm)}})
    add("pyctcdecode 100 + word 3-gram")
    return rows


def print_figures(rows: list[DecodingFigures], encoder_ms: float) -> None:
    print("\n| decoding | WER / CER % | CPU ms, 1 core | wall ms, 1 core | wall ms, 2 cores | of the encoder |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        times = " | ".join(f"{value:.2f}" for value in (row.cpu_ms, row.wall_ms_1, row.wall_ms_2))
        print(f"| {row.name} | {row.wer:.2f} / {row.cer:.2f} | {times} | {100 * row.cpu_ms / encoder_ms:.1f} % |")
    near = [row for row in rows if row.wer <= min(row.wer for row in rows) + NEAR_BEST]
    fastest = min(near, key=lambda row: row.cpu_ms)
    print(f"\nFastest within {NEAR_BEST} points of the best WER: {fastest.name}, {fastest.cpu_ms:.2f} ms CPU")


def resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what is loaded goes where something else was freed, and counts nothing
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def print_loading(token_lm: Path, word_lm: Path, labels: list[str]) -> None:
    print("| language model | file MB | load CPU s | load wall s | memory MB |\n|---|---|---|---|---|")
    loaders = {
        "character 6-gram": (token_lm, lambda: NGramGPULanguageModel.from_file(token_lm, vocab_size=len(labels))),
        "word 3-gram": (word_lm, lambda: WordLMSearch(labels, word_lm, 100, 0.5, 1.5, PyCTCDecodeConfig())),
    }
    for name, (path, load) in loaders.items():
        memory, began, cpu_began = resident_bytes(), time.perf_counter(), time.process_time()
        kept = load()
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        grown = (resident_bytes() - memory) / 1e6
        print(f"| {name} | {path.stat().st_size / 1e6:.1f} | {cpu_s:.2f} | {wall_s:.2f} | {grown:.0f} |")
        del kept


def main() -> None:
    model_path, manifest, texts, *seconds = sys.argv[1:]
    use_cores(1)
    logging.setLevel(logging.ERROR)
    model = load_ctc_model(Path(model_path))
    labels = list(model.decoder.vocabulary)
    waves, references = read_utterances(manifest, float(seconds[0]) if seconds else 600.0)
    audio_s = sum(map(len, waves)) / model.cfg.sample_rate
    compute_batches(model, waves[-2:])
    began = time.process_time()
    batches = compute_batches(model, waves)
    encoder_ms = 1000 * (time.process_time() - began) / audio_s
    with tempfile.TemporaryDirectory() as folder:
        token_lm, word_lm = Path(folder) / "token.nemo", Path(folder) / "word.arpa"
        paths = [Path(text) for text in texts.split(",")]
        os.sched_setaffinity(0, ALL_CORES)
        for output, order, kind in ((token_lm, 6, "token"), (word_lm, 3, "word")):
            report = train_ngram_lm(
                paths, labels, output, order, kind=kind, check_against=[Path(manifest)], leaks="drop", num_workers=2
            )
        print(f"{len(waves)} utterances, {audio_s:.0f} s of audio; text: {report.counts.used} lines; times for each")
        print(f"second of audio; encoder: {encoder_ms:.1f} ms CPU on one core\n", flush=True)
        print_loading(token_lm, word_lm, labels)
        print_figures(run_all(model, batches, references, audio_s, token_lm, word_lm), encoder_ms)


ALL_CORES = os.sched_getaffinity(0)

if __name__ == "__main__":
    main()
