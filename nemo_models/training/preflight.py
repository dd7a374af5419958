"""Pre-flight checks: problems that training would hide, reported together before the first update.

NeMo drops characters without a label, sets the loss of utterances to 0 that are too short for their text, and leaves
out unreadable audio, all silently. Manifests are streamed, so that memory does not grow with them.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from inspect import signature
from pathlib import Path

from omegaconf import DictConfig

from data_prep.arguments import require_choice
from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.manifest import MANIFEST_KEYS
from data_prep.progress import ProgressBar
from nemo_models.training.checkpoint_space import (
    count_encoder_weights,
    count_validations,
    estimate_checkpoint_bytes,
    find_missing_space,
)
from nemo_models.training.file_checks import THREADS, check_in_threads, file_checks, locate
from nemo_models.training.findings import Findings
from nemo_models.training.row_checks import AudioRowChecks, RowChecks, audio_row_checks, frame_counter, row_checks
from nemo_models.training.sources import AUDIO_KEYS, Row, Source, find_empty_sets, list_noise_sources, list_sources
from nemo_models.training.validation_leaks import ValidationLeaks

logger = logging.getLogger(__name__)

LENGTHS_CACHED = 1 << 16  # lengths of audio; manifests round durations, so most lengths occur often
REMEDY = "scripts/prepare_data.py and scripts/check_manifest.py write manifests without these"


def check_training(cfg: DictConfig, labels: Sequence[str] | None) -> None:
    """Check the datasets and the disk space of a training; see `check_data_sets`.

    Args:
        cfg: The whole configuration, with the checkpoint's settings filled in.
        labels: The characters that the model writes; `None` for audio without transcripts.

    Raises:
        FileNotFoundError: A manifest is missing.
        ValueError: There are problems; the message counts each kind, gives an example, and says what to do.
    """
    problems = check_data_sets(cfg.model, labels, cfg.checks.leaks, cfg.get("language") or DEFAULT_LANGUAGE)
    remedies = [REMEDY] if problems else []
    folder = Path(cfg.exp_manager.exp_dir) / cfg.exp_manager.name
    if missing := find_missing_space(folder, count_checkpoint_bytes(cfg)):
        problems.append(missing)
        remedies.append("free some space, lower exp_manager.checkpoint_callback_params.save_top_k or move exp_dir")
    problems += find_empty_sets(cfg)
    if problems:
        raise ValueError(f"the data is unfit for training: {'; '.join(problems + remedies)}")


def count_checkpoint_bytes(cfg: DictConfig) -> int:
    """Estimate the largest size of a training's checkpoints, in bytes; 0 if it writes none.

    Args:
        cfg: The whole configuration. `save_top_k` checkpoints are kept and one more while it replaces the worst; with
            -1 there is one for every validation.
    """
    if not cfg.exp_manager.get("create_checkpoint_callback", True):
        return 0
    kept = int(cfg.exp_manager.checkpoint_callback_params.get("save_top_k", 3))
    if kept < 0:
        parameters = signature(count_validations).parameters
        best = count_validations(**{key: value for key, value in cfg.trainer.items() if key in parameters})
    else:
        best = kept + 1
    return estimate_checkpoint_bytes(count_encoder_weights(cfg.model.encoder, cfg.model.get("lora")), best)


def check_data_sets(
    model_cfg: DictConfig, labels: Sequence[str] | None, leaks: str = "error", language: str = DEFAULT_LANGUAGE
) -> list[str]:
    """Check training and validation data for problems that training would hide.

    These are: unfit texts (see `data_prep.text.verdict.judge`), more labels than the encoder gives frames, audio that
    is missing, unreadable, shorter than stated or of another rate, utterances outside the limits of duration, empty
    sets, and the same recording in training and validation. For tarred and Shar data, the descriptions are checked and
    that the shards exist. For noises that are mixed in, each file is checked.

    Args:
        model_cfg: `train_ds`, `validation_ds` and `encoder`.
        labels: The characters that the model writes; `None` for audio without transcripts, of which nothing but the
            lengths and files is checked; what the limits of duration leave out is then a warning with its count. The
            same holds for a dataset with `unlabelled: true`. Rows of one with `may_lack_text: true` are counted in a
            warning if they have no text.
        leaks: `error` or `warn`, for the same recording in training and validation.
        language: Code of the texts' language, or the path of a language file.

    Returns:
        The problems, each as text.
    """
    require_choice("checks.leaks", leaks, ("error", "warn"))
    check = _DataCheck(language)
    count_frames = lru_cache(LENGTHS_CACHED)(frame_counter(model_cfg.encoder))
    with ThreadPoolExecutor(THREADS) as pool:
        for name in ("validation_ds", "train_ds"):  # validation first: training is compared with it
            dataset = model_cfg.get(name) or DictConfig({})
            compare = check.leaks.remember if name == "validation_ds" else check.leaks.compare
            spelled = None if labels is None or dataset.get("unlabelled") else frozenset(labels)
            needs_text = spelled is not None and not dataset.get("may_lack_text")
            sources = list_sources(dataset, MANIFEST_KEYS if needs_text else AUDIO_KEYS)
            for source in sources:
                if spelled is None:
                    span = model_cfg.encoder.mask_time_length if labels is None else 0
                    rows: RowChecks = audio_row_checks(dataset, count_frames, span)
                else:
                    rows = row_checks(dataset, spelled, count_frames, language)
                rate, whole = int(dataset.get("sample_rate", SAMPLE_RATE_HZ)), bool(dataset.get("use_lhotse"))
                check.check_source(source, rows, rate, whole, compare, pool)
            for source in list_noise_sources(dataset) if dataset.get("use_lhotse") else ():
                check.check_noises(source, pool)
            if not sources and (labels is not None or name == "train_ds"):
                logger.warning("model.%s: found no manifest or Shar folder; its data is not checked", name)
    return check.report(leaks)


class _DataCheck:
    """One check of all datasets: the problems, the warnings, and the comparison of training with validation."""

    def __init__(self, language: str) -> None:
        self.problems, self.warnings, self.leaks = Findings(), Findings(), ValidationLeaks(language)

    def check_source(
        self,
        source: Source,
        rows: RowChecks,
        sample_rate: int,
        whole: bool,
        compare: Callable[[Row, str], None],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Check the rows and audio files of a manifest; `compare` gets each row with its path."""
        where = str(source.path)
        total = source.count_lines()
        files = file_checks(source, total, sample_rate, whole)
        count = left_out = 0
        with ProgressBar(total=total, unit=" rows", desc=source.path.name, mininterval=0.5, disable=None) as progress:
            for chunk, file_problems in check_in_threads(source, files, pool):
                for row, file_problem in zip(chunk, file_problems, strict=True):
                    for problem in rows.check(row):
                        self.problems.add(where, problem)
                    warned = list(rows.check_copies(row))
                    left_out += isinstance(rows, AudioRowChecks) and bool(warned)
                    for problem in warned:
                        self.warnings.add(where, problem)
                    if file_problem:
                        self.problems.add(where, file_problem)
                    compare(row, locate(files.folder, row) if source.has_files else "")
                count += len(chunk)
                progress.update(len(chunk))
        if not count:
            self.problems.others.append(f"{where}: found no utterance, expected at least one")
        elif left_out == count:
            reasons = self.warnings.describe_file(where)
            self.problems.others.append(f"{where}: all {count} utterances are left out ({'; '.join(reasons)})")
        elif source.has_files:
            logger.info("%s: %d files exist, %d headers checked", where, count, -(-count // files.every))
        else:
            logger.info("%s: %d descriptions checked; audio in tar files is not read", where, count)

    def check_noises(self, source: Source, pool: ThreadPoolExecutor) -> None:
        """Check the audio files of a manifest of noises; Lhotse resamples them, so any rate will do."""
        count = 0
        files = file_checks(source, source.count_lines(), None, whole=False)
        for chunk, file_problems in check_in_threads(source, files, pool):
            count += len(chunk)
            for problem in filter(None, file_problems):
                self.problems.add(str(source.path), problem)
        if not count:
            self.problems.others.append(f"{source.path}: found no noise, expected at least one")

    def report(self, leaks: str) -> list[str]:
        """Log the warnings and return the problems."""
        for line in self.warnings.describe() + self.leaks.describe_warnings():
            logger.warning(line)
        if same := self.leaks.describe_same_recordings():
            if leaks == "error":
                self.problems.others.append(f"{same} (checks.leaks=warn trains nevertheless)")
            else:
                logger.warning(same)
        return self.problems.describe()
