"""Files to text at XLSR-53's size, beside transformers' ASR pipeline with the same (random) weights.

Usage: python scripts/benchmarks/transcribe.py WORK_FOLDER AUDIO_FOLDER [--audio-s S] [--rounds 2] [--device cpu|cuda]
       … --start-up     only the time to the first result, beside importing NeMo and restoring with it

Writes the weights once as a Hugging Face folder and as a .nemo (2.6 GB in WORK_FOLDER). Takes real utterances, drawn by
a fixed seed, of --audio-s seconds in all. Every contender runs in a separate process, loaded before the measurement.
They take turns, --rounds times after one utterance to warm up, and the best turn counts. (On a busy machine compare CPU
times, with OMP_NUM_THREADS=1, because waiting threads use CPU time.) The pipeline gets arrays that soundfile decodes
during its turn, which is faster than the ffmpeg process that it would start for each file.
Printed for each: audio-seconds a second, the ratios to the pipeline at its default and its best batch size, texts that
equal its float32 ones, the mean and the largest error of a log-probability (natural log, all labels), and the peak of
the resident memory. A format that the processor cannot compute is named in one line and left out. With --device cuda
also the share of the measured bfloat16 matrix rate, at 36 GFLOP a second of audio.

--start-up runs scripts/transcribe_speech.py on one utterance, in each number format, from the start of the process to
its end, with the output written; its peer is a process that imports NeMo's ASR collection, restores the .nemo with
NeMo's `restore_from`, and ends. They take turns; the least seconds and CPU seconds of --rounds count.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from device_rate import matrix_tflops
from side_process import ROOT, peak_bytes

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
MEMBER = "wav2vec2-large-xlsr-53"
GFLOP_PER_AUDIO_S = 36
PIPELINE_BATCHES = {"cpu": (1, 4), "cuda": (1, 8, 32)}
FORMATS = {"cpu": ("float32", "bfloat16", "int8"), "cuda": ("float32", "bfloat16")}
AUDIO_S = {"cpu": 40, "cuda": 3600}
READERS = {"cpu": 2, "cuda": min(8, os.cpu_count() or 1)}  # threads of ours: a GPU outruns two
NEMO_ALONE = """
import sys
import nemo.collections.asr
import nemo_models
nemo.collections.asr.models.ASRModel.restore_from(sys.argv[1], map_location=sys.argv[2])
"""
COMPARED = 2  # utterances whose log-probabilities are compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="WORK_FOLDER")
    parser.add_argument("audio", type=Path, metavar="AUDIO_FOLDER")
    parser.add_argument("--audio-s", type=float, help="default: 40 on the CPU, 3600 on CUDA")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--formats", nargs="+", help="default: all that the device can compute")
    parser.add_argument("--start-up", action="store_true")
    arguments = parser.parse_args()
    files, seconds = choose_files(arguments.audio, arguments.audio_s or AUDIO_S[arguments.device])
    context = get_context("spawn")
    for step in (write_huggingface_folder, write_nemo):  # in separate processes: they leave gigabytes behind
        process = context.Process(target=step, args=(arguments.folder,))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{step.__name__} failed")
    if arguments.start_up:
        measure_start_up(arguments, files[0])
        return
    contenders = [Contender("pipeline", "float32", arguments)]
    contenders += [Contender("ours", name, arguments) for name in choose_formats(arguments)]
    turns = [(contenders[0], f"pipeline, batch {size}", size) for size in PIPELINE_BATCHES[arguments.device]]
    turns += [(contender, f"ours, {contender.number_format}", 32) for contender in contenders[1:]]
    for contender, _, size in turns:
        contender.ask("texts", files[:1], size)
    best: dict[str, float] = {}
    least_cpu: dict[str, float] = {}
    texts: dict[str, list[str]] = {}
    for _ in range(arguments.rounds):
        for contender, name, size in turns:
            texts[name], took, cpu = contender.ask("texts", files, size)
            best[name] = min(took, best.get(name, took))
            least_cpu[name] = min(cpu, least_cpu.get(name, cpu))
    rates = {name: seconds / took for name, took in best.items()}
    names = [name for _, name, _ in turns]
    default, peer = rates[names[0]], max(rates[name] for name in names if name.startswith("pipeline"))
    expected, *_ = contenders[0].ask("log_probs", files[:COMPARED])
    result: dict[str, Any] = {"utterances": len(files), "audio_s": round(seconds, 1), "device": arguments.device}
    if arguments.device == "cuda":
        result["matrix_tflops"], *_ = contenders[-1].ask("matrix_tflops")
    print(json.dumps(result))
    for contender, name, _ in turns:
        found, *_ = contender.ask("log_probs", files[:COMPARED])
        errors = np.concatenate([np.abs(f - e).ravel() for f, e in zip(found, expected, strict=True)])
        row = {
            "audio_s_per_s": round(rates[name], 2),
            "over_default": round(rates[name] / default, 2),
            "over_best_pipeline": round(rates[name] / peer, 2),
            "cpu_over_default": round(least_cpu[names[0]] / least_cpu[name], 2),
            "texts_equal": sum(t == e for t, e in zip(texts[name], texts[names[0]], strict=True)),
            "log_prob_error": f"{errors.mean():.1e} / {errors.max():.1e}",
            "peak_gib": round(contender.ask("peak_bytes")[0] / 2**30, 2),
        }
        if arguments.device == "cuda":
            row["share_of_matrix_rate"] = round(rates[name] * GFLOP_PER_AUDIO_S / 1e3 / result["matrix_tflops"], 3)
        print(f"{name:22}{json.dumps(row)}", flush=True)
    print(json.dumps({"std_of_log_probs": round(float(np.concatenate(expected).std()), 3)}))


def choose_formats(arguments: argparse.Namespace) -> list[str]:
    """Choose the number formats to measure, and name those that this processor lacks or emulates."""
    from nemo_models.inference.processor import describe_formats, has_int8, warn_of_slow_format

    wanted = arguments.formats or list(FORMATS[arguments.device])
    if arguments.device == "cuda":
        return wanted
    print(describe_formats(), flush=True)
    formats = [name for name in wanted if name != "int8" or has_int8()]
    for name in wanted:
        if name not in formats:
            print(f"{name}: this processor cannot compute it; left out", flush=True)
        elif warning := warn_of_slow_format("compute_dtype", name):
            print(warning, flush=True)
    return formats


def measure_start_up(arguments: argparse.Namespace, file: str) -> None:
    """Print what the first result takes, as a multiple of importing NeMo and restoring the model with it."""
    folder, device = arguments.folder, arguments.device
    output = folder / "first_result.json"
    listed = folder / "first_result.txt"
    listed.write_text(f"{file}\n", encoding="utf-8")
    script = [str(ROOT / "scripts" / "transcribe_speech.py"), f"model_path={folder}/model.nemo"]
    script += [f"audio_list={listed}", f"output_filename={output}", f"cuda={0 if device == 'cuda' else -1}"]
    commands = {"NeMo alone": [sys.executable, "-c", NEMO_ALONE, str(folder / "model.nemo"), device]}
    formats = choose_formats(arguments)
    commands |= {name: [sys.executable, *script, f"compute_dtype={name}"] for name in formats}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            output.unlink(missing_ok=True)
            began = time.perf_counter()
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            took[name].append((time.perf_counter() - began, usage.ru_utime + usage.ru_stime))
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode or (name in formats and not output.exists()):
                sys.exit(f"{name}: exit status {process.returncode}")
    print(json.dumps({"audio_s": round(soundfile.info(file).duration, 2), "device": device}))
    least = {name: [min(values) for values in zip(*rows, strict=True)] for name, rows in took.items()}
    for name, (wall, cpu) in least.items():
        ratios = {"ratio": round(wall / least["NeMo alone"][0], 2), "cpu_ratio": round(cpu / least["NeMo alone"][1], 2)}
        print(f"{name:12}{json.dumps({'s': round(wall, 2), 'cpu_s': round(cpu, 2), **ratios})}", flush=True)


def choose_files(folder: Path, audio_s: float) -> tuple[list[str], float]:
    """Draw real files until their seconds are reached; the distribution of lengths is the corpus's."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".wav"))
    random.Random(0).shuffle(files)
    chosen: list[str] = []
    seconds = 0.0
    for path in files:
        if seconds >= audio_s:
            break
        chosen.append(str(path))
        seconds += soundfile.info(path).duration
    if not chosen:
        sys.exit(f"{folder}: holds no .flac or .wav")
    return chosen, seconds


def write_huggingface_folder(folder: Path) -> None:
    """Write random weights with a head that has clear favourites, unless they are there."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    from family import HINDI, MEMBERS, write_huggingface

    target = folder / "huggingface"
    if (target / "tokenizer_config.json").exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    fields = {**MEMBERS[MEMBER]["architecture"], "vocab_size": len(HINDI), "pad_token_id": HINDI.index("[PAD]")}
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**fields)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(5)
        model.lm_head.bias[HINDI.index("[UNK]")] = -100.0  # the two sides write it differently
    write_huggingface(target, MEMBER, model, HINDI)


def write_nemo(folder: Path) -> None:
    """Import that folder."""
    if not (folder / "model.nemo").exists():
        from nemo_models.checkpoints.importing import import_checkpoint

        import_checkpoint(str(folder / "huggingface"), []).model.save_to(str(folder / "model.nemo"))


class Contender:
    """A model in a separate process, which answers one question at a time."""

    def __init__(self, kind: str, number_format: str, arguments: argparse.Namespace) -> None:
        self.number_format = number_format
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        settings = (kind, number_format, arguments.folder, arguments.device)
        context.Process(target=answer, args=(other, *settings), daemon=True).start()
        self.ask("peak_bytes")  # loaded

    def ask(self, *question: Any) -> tuple[Any, float, float]:
        """The answer, and the seconds and CPU seconds it took there."""
        self._connection.send(question)
        return self._connection.recv()


def answer(connection: Connection, kind: str, number_format: str, folder: Path, device: str) -> None:
    """Load a model and answer questions until the parent ends."""
    texts, log_probs = (load_pipeline if kind == "pipeline" else load_ours)(folder, number_format, device)
    answers = {"texts": texts, "log_probs": log_probs, "peak_bytes": peak_bytes, "matrix_tflops": matrix_tflops}
    while True:
        try:
            name, *rest = connection.recv()
        except EOFError:  # the parent has ended
            return
        began, cpu_began = time.perf_counter(), time.process_time()
        result = answers[name](*rest)
        connection.send((result, time.perf_counter() - began, time.process_time() - cpu_began))


def load_pipeline(folder: Path, number_format: str, device: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """transformers' pipeline with its own defaults: float32, sdpa."""
    import torch
    from transformers import pipeline

    recognise = pipeline("automatic-speech-recognition", model=str(folder / "huggingface"), device=device)

    def texts(files: list[str], batch_size: int) -> list[str]:
        arrays = ({"raw": soundfile.read(path, dtype="float32")[0], "sampling_rate": 16_000} for path in files)
        return [" ".join(result["text"].split()) for result in recognise(arrays, batch_size=batch_size)]

    def log_probs(files: list[str]) -> list[np.ndarray]:
        found = []
        for path in files:
            samples = soundfile.read(path, dtype="float32")[0]
            inputs = recognise.feature_extractor(samples, sampling_rate=16_000, return_tensors="pt").to(device)
            with torch.inference_mode():
                found.append(recognise.model(**inputs).logits[0].log_softmax(-1).cpu().numpy())
        return found

    return texts, log_probs


def load_ours(folder: Path, number_format: str, device: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What scripts/transcribe_speech.py does."""
    from nemo.utils import logging

    from nemo_models.inference.log_probs import compute_log_probs
    from nemo_models.inference.model_loading import choose_device, load_ctc_model, set_compute_dtype
    from nemo_models.transcription.transcribe import transcribe

    logging.setLevel(logging.ERROR)
    model = load_ctc_model(folder / "model.nemo", device=choose_device(0 if device == "cuda" else -1))
    autocast_dtype = set_compute_dtype(model, number_format)
    labels = len(model.decoder.vocabulary)
    # NeMo's blank is last; in the folder it is [PAD], last as well
    assert labels + 1 == len(json.loads((folder / "huggingface" / "vocab.json").read_text(encoding="utf-8")))

    def texts(files: list[str], batch_size: int) -> list[str]:
        options = {"batch_size": batch_size, "num_workers": READERS[device], "autocast_dtype": autocast_dtype}
        results = transcribe(model, files, **options)
        return [result.text for result in sorted(results, key=lambda result: result.index)]

    def log_probs(files: list[str]) -> list[np.ndarray]:
        waveforms = [soundfile.read(path, dtype="float32")[0] for path in files]
        return [rows.float().cpu().numpy() for rows in compute_log_probs(model, waveforms, autocast_dtype)]

    return texts, log_probs


if __name__ == "__main__":
    main()
