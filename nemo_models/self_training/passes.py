"""Transcriptions of the same audio in several ways, each one a resumable job whose finished output is kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.job_keys import hash_file
from nemo_models.inference.model_loading import choose_device
from nemo_models.self_training.settings import PseudoLabelSettings
from nemo_models.transcription.batch_job import OutputPlan, make_job_key, run_job
from nemo_models.transcription.command import make_recogniser_settings
from nemo_models.transcription.inputs import AudioInput, measure_durations
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.workers import make_engine, open_recogniser

KEYED_SETTINGS = ("pretrained_name", "language", "channel_selector", "window_s", "compute_dtype", "amp", "amp_dtype")
"""Settings that a text depends on, beside model, decoding and phrases."""
GREEDY = {"strategy": "greedy_batch"}


class Passes:
    """Runs transcriptions with one model and keeps their outputs by what they depend on.

    Args:
        settings: All arguments of the job.
        folder: Folder of the outputs; made if needed.
    """

    def __init__(self, settings: PseudoLabelSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        path = settings.model_path
        self._model_key = hash_file(path) if path and path.is_file() else str(settings.pretrained_name)
        self._device = choose_device(settings.cuda)
        self._engine = make_engine(
            settings.engine, settings.devices, settings.address, use_cuda=self._device.type == "cuda"
        )

    def run(
        self,
        name: str,
        inputs: Sequence[AudioInput],
        decoding: Mapping[str, Any] | None = None,
        words: bool = False,
        dropout: float = 0.0,
        dropout_seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Transcribe, or read what an earlier run of the same pass wrote.

        Args:
            name: Name of the pass, for its file.
            inputs: The audio.
            decoding: Decoding settings; `None` for those of the job.
            words: Whether the rows have words with times and confidence.
            dropout: See `RecogniserSettings`.
            dropout_seed: Likewise.

        Returns:
            One row for each input, in order, with `pred_text`.

        Raises:
            FileNotFoundError: The model does not exist.
            OSError: The output cannot be written.
            ValueError: A setting is out of range, or another process runs the same job.
        """
        settings = replace(self._settings, ctc_decoding=dict(decoding)) if decoding else self._settings
        boosting = settings.boosting if decoding is None else replace(settings.boosting, phrases_file=None)
        recogniser = make_recogniser_settings(replace(settings, boosting=boosting), timestamps=words)
        recogniser = replace(recogniser, dropout=dropout, dropout_seed=dropout_seed)
        values = {key: getattr(settings, key) for key in KEYED_SETTINGS}
        values |= {"decoding": settings.ctc_decoding, "phrases": boosting.phrases_file, "weight": boosting.weight}
        values |= {"words": words, "dropout": dropout, "dropout_seed": dropout_seed}
        key = make_job_key(self._model_key, values, inputs)
        path = self._folder / f"{name}-{key[:16]}.jsonl"
        if not path.is_file():
            recognise = open_recogniser(recogniser, self._engine, self._device)
            measured = measure_durations(inputs)
            with TranscriptionProgress(sum(audio.expected_s for audio in measured)) as progress:
                plan = OutputPlan(path, reference_key=None)
                run_job(partial(recognise, on_audio=progress.add_audio), measured, plan, key, progress)
        for earlier in self._folder.glob(f"{name}-*.jsonl"):
            if earlier != path:  # of other settings
                earlier.unlink()
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
