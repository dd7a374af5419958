"""Peers as web servers, the way transformers' page on web servers shows it: a queue and one loop.

    python scripts/benchmarks/serve_peer.py pipeline HUGGINGFACE_FOLDER PORT
    python scripts/benchmarks/serve_peer.py sherpa-onnx ONNX_FOLDER PORT

`/v1/audio/transcriptions` takes what waits in the queue together (that page's dynamic batching),
`/single/v1/audio/transcriptions` one recording at a time. transformers' ASR pipeline, or sherpa-onnx's recogniser of
wav2vec 2.0 CTC models, runs in a thread, so that uploads are received and decoded meanwhile; soundfile decodes, which
is faster than the ffmpeg process that the pipeline starts for bytes.
"""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import soundfile
import soxr
import uvicorn
from fastapi import FastAPI, File, UploadFile

RATE = 16_000
WAIT_S = 0.001  # for one more recording, as on that page
MOST = 8  # recordings together

Recognise = Callable[[list[dict[str, Any]]], list[dict[str, str]]]


def load_pipeline(folder: Path) -> Recognise:
    """Load transformers' pipeline."""
    from transformers import pipeline

    found = pipeline("automatic-speech-recognition", model=str(folder), device="cpu")
    return lambda inputs: found(inputs, batch_size=len(inputs))


def load_sherpa(folder: Path) -> Recognise:
    """Load sherpa-onnx's recogniser of wav2vec 2.0 CTC models, of an ONNX export."""
    import sherpa_onnx

    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    found = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=threads
    )

    def recognise(inputs: list[dict[str, Any]]) -> list[dict[str, str]]:
        streams = [found.create_stream() for _ in inputs]
        for stream, audio in zip(streams, inputs, strict=True):
            stream.accept_waveform(audio["sampling_rate"], audio["raw"])
        found.decode_streams(streams)
        return [{"text": stream.result.text} for stream in streams]

    return recognise


LOADERS = {"pipeline": load_pipeline, "sherpa-onnx": load_sherpa}
recognise = LOADERS[sys.argv[1]](Path(sys.argv[2]))
queues: dict[int, asyncio.Queue[tuple[dict[str, Any], asyncio.Future]]] = {}


async def work(most: int) -> None:
    """Recognise what comes into a queue, at most so many recordings together."""
    queue = queues[most]
    while True:
        waiting = [await queue.get()]
        while len(waiting) < most:
            try:
                waiting.append(await asyncio.wait_for(queue.get(), WAIT_S))
            except asyncio.TimeoutError:
                break
        inputs = [audio for audio, _ in waiting]
        try:
            rows = await asyncio.to_thread(recognise, inputs)
        except Exception as error:
            for _, answer in waiting:
                answer.set_exception(RuntimeError(str(error)))
            continue
        for row, (_, answer) in zip(rows, waiting, strict=True):
            answer.set_result(row["text"])


@asynccontextmanager
async def run_workers(_: FastAPI) -> AsyncIterator[None]:
    """Run the loops while the application runs."""
    for most in (1, MOST):
        queues[most] = asyncio.Queue()
    tasks = [asyncio.create_task(work(most)) for most in queues]
    yield
    for task in tasks:
        task.cancel()


application = FastAPI(lifespan=run_workers)


def decode(content: bytes) -> dict[str, Any]:
    """Decode a file for the pipeline."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    return {"raw": samples if rate == RATE else soxr.resample(samples, rate, RATE), "sampling_rate": RATE}


async def transcribe(content: bytes, most: int) -> dict[str, str]:
    """Put a file into a queue and wait for its text."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    await queues[most].put((await asyncio.to_thread(decode, content), answer))
    return {"text": " ".join((await answer).split())}


@application.post("/v1/audio/transcriptions")
async def transcribe_together(file: UploadFile = File()) -> dict[str, str]:  # noqa: B008  FastAPI's way
    return await transcribe(await file.read(), MOST)


@application.post("/single/v1/audio/transcriptions")
async def transcribe_alone(file: UploadFile = File()) -> dict[str, str]:  # noqa: B008
    return await transcribe(await file.read(), 1)


@application.get("/health")
async def tell_health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning")
