"""Texts of partial results alone, for several steps and right contexts, without a clock.

    python scripts/benchmarks/serve_windows.py PLAN.json

The server's own windows (`StreamUtterance`) go through the server's own recogniser, those of many recordings in one
batch, which changes no text. No window comes late, so the texts are those of a stream that is served in time. Behind
each recording comes its quietest tenth of a second, over and over, until all that was said has its right context.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from omegaconf import OmegaConf
from serve_figures import find_room
from side_process import ROOT

sys.path.insert(0, str(ROOT))

from data_prep.job_settings import read_settings
from nemo_models.serving.command import load_transcriber
from nemo_models.serving.recogniser import ModelRecogniser
from nemo_models.serving.settings import ServeSettings
from nemo_models.serving.stream_audio import ModelFrames, StreamOptions, StreamUtterance

TOGETHER = 32  # windows of a batch


def main() -> None:
    """Read the plan, and print what was shown for every recording and pair of step and right context."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    values = OmegaConf.merge(OmegaConf.load(ROOT / "conf/serve.yaml"), OmegaConf.from_dotlist(plan["arguments"]))
    settings = read_settings(ServeSettings, OmegaConf.to_container(values))
    recogniser = ModelRecogniser(load_transcriber(settings))
    waves = [soundfile.read(path, dtype="float32") for path in plan["paths"]]
    rows = []
    for step_s, right_context_s in plan["pairs"]:
        options = StreamOptions(step_s, settings.stream.left_context_s, right_context_s)
        rows.append(stream_texts(recogniser, waves, options))
    print(json.dumps(rows))


def stream_texts(
    recogniser: ModelRecogniser, waves: Sequence[tuple[np.ndarray, int]], options: StreamOptions
) -> list[list[str]]:
    """Return what is shown of each recording, in order; the last text is that of the partial results alone."""
    frames = ModelFrames(recogniser.sample_rate_hz, recogniser.frame_step, recogniser.vocabulary)
    utterances = [StreamUtterance(0, rate, frames, options) for _, rate in waves]
    longer = [extend(wave, rate, options.step_s + options.right_context_s) for wave, rate in waves]
    shown: list[list[str]] = [[] for _ in waves]
    step = 0
    while True:
        windows: dict[int, tuple[int, np.ndarray]] = {}
        going = False
        for number, (utterance, samples, (_, rate)) in enumerate(zip(utterances, longer, waves, strict=True)):
            size = round(options.step_s * rate)
            part = samples[step * size : (step + 1) * size]
            going |= len(part) > 0
            if len(part):
                utterance.add(part)
                window = utterance.take_window()
                if window is not None:
                    windows[number] = window
        if not going:
            return shown
        for number, labels in compute(recogniser, windows).items():
            utterances[number].add_labels(windows[number][0], labels)
            if utterances[number].text != (shown[number][-1] if shown[number] else ""):
                shown[number].append(utterances[number].text)
        step += 1


def compute(recogniser: ModelRecogniser, windows: Mapping[int, tuple[int, np.ndarray]]) -> dict[int, Any]:
    """Return the best labels of windows by their number."""
    numbers = sorted(windows, key=lambda number: len(windows[number][1]))
    found: dict[int, Any] = {}
    for first in range(0, len(numbers), TOGETHER):
        batch = numbers[first : first + TOGETHER]
        computed = recogniser.compute([windows[number][1] for number in batch])
        found |= {number: recogniser.best_labels(rows) for number, rows in zip(batch, computed, strict=True)}
    return found


def extend(wave: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """Return the recording with so many seconds of its room behind it, in whole steps."""
    room = find_room(wave, rate)
    return np.concatenate([wave, np.resize(room, round(seconds * rate))])


if __name__ == "__main__":
    main()
