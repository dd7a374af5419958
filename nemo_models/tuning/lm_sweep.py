"""Tries settings of the beam search on dev data: the model runs once, and every setting uses its log-probabilities."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from nemo.collections.asr.parts.submodules.ctc_beam_decoding import BeamBatchedCTCInfer
from tqdm import tqdm

from data_prep.engines import count_cores
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.union import LANGUAGE_KEY, find_member, language_of_row
from data_prep.manifest import read_manifest, resolve_audio_path
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.label_languages import LabelLanguages, read_label_languages
from nemo_models.decoding.strategy import decode_log_probs
from nemo_models.evaluation.scoring import Scores, score_texts
from nemo_models.files.model_language import FINGERPRINT_KEY, choose_language, read_languages
from nemo_models.inference.log_probs import compute_log_probs
from nemo_models.transcription.audio_reader import AudioError, load_waveform

COARSE_BEAM_SIZE = 8  # during the search for α and β, whose best values hardly depend on it
_HALVINGS = 2  # of the grid's steps, once the best of it is found
_MOST_MOVES = 12  # from the best to a better neighbour, for each size of step


@dataclass(frozen=True, order=True)
class Setting:
    """One way to decode.

    Attributes:
        alpha: Weight of the language model's natural-log score, 0 or more.
        beta: Bonus for each character, or for each word with a language model of words.
        beam_size: Number of hypotheses kept.
    """

    alpha: float
    beta: float
    beam_size: int


@dataclass(frozen=True)
class Tried:
    """The error rates of a setting on the dev data, as shares."""

    setting: Setting
    wer: float
    cer: float

    @property
    def rank(self) -> tuple[float, float, int]:
        """The lower, the better: word error rate, then character error rate, then width of the beam."""
        return self.wer, self.cer, self.setting.beam_size


@dataclass(frozen=True)
class DevData:
    """Log-probabilities of a dev set, with its texts.

    Attributes:
        batches: (B, T, V+1) float32 natural log-probabilities with (B,) int64 frames, on the CPU.
        references: The texts, in the batches' order.
        failed: Rows whose audio could not be read, each with the reason.
        language: The texts' language, as `load_language` takes it.
        labels: For a model of several languages: which labels belong to which.
    """

    batches: list[tuple[torch.Tensor, torch.Tensor]]
    references: list[str]
    failed: list[str]
    language: str = DEFAULT_LANGUAGE
    labels: LabelLanguages | None = None

    @property
    def code(self) -> str:
        """Code of the language."""
        return load_language(self.language).code

    def write(self, text: str) -> str:
        """Return a decoded text with single spaces, in the letters of the language."""
        text = " ".join(text.split())
        return str(self.labels.unfold(text, self.code)) if self.labels else text


def read_dev_rows(model: XLSRCTCModel, dataset_manifest: Path) -> dict[str | None, list[dict[str, Any]]]:
    """Read the rows with a text.

    Returns:
        Code -> rows of that language, in the model's order, for a model of several; a row without `lang` is Hindi.
        `None` -> all rows, for a model of one language.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: It is broken, or has a row in a language that the model lacks.
    """
    codes = read_languages(model.cfg.get(FINGERPRINT_KEY))
    is_one = len(codes) < 2
    rows_of: dict[str | None, list[dict[str, Any]]] = {None: []} if is_one else {code: [] for code in codes}
    for number, row in enumerate(read_manifest(dataset_manifest), 1):
        code = str(row.get(LANGUAGE_KEY) or next(iter(codes), DEFAULT_LANGUAGE)) if is_one else language_of_row(row)
        own = find_member(codes, code)
        if codes and own is None:
            raise ValueError(
                f"{dataset_manifest}: row {number}: found lang {code}, expected {' or '.join(codes)}, the model's; "
                "remove the row, or choose another model"
            )
        if row["text"].strip():
            rows_of[None if is_one else own].append(row)
    return rows_of


def compute_dev_data(
    model: XLSRCTCModel,
    dataset_manifest: Path,
    batch_size: int = 16,
    rows: Sequence[dict[str, Any]] | None = None,
    language: str | None = None,
) -> DevData:
    """Run the model over a manifest, once.

    Args:
        model: A CTC model, on any device.
        dataset_manifest: NeMo manifest with texts.
        batch_size: Utterances that go through the model together.
        rows: Its rows that are used, see `read_dev_rows`; `None`: those of a model of one language.
        language: Their language, as `load_language` takes it, of which only the labels are left; `None`: the model's.

    Returns:
        Log-probabilities, longest utterances first.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: It is broken, no row of it can be used, or the model has several languages and none is given.
    """
    language = choose_language(language, model.cfg.get(FINGERPRINT_KEY), "the model")
    labels = read_label_languages(model.cfg, list(model.decoder.vocabulary))
    rows = list(read_dev_rows(model, dataset_manifest)[None] if rows is None else rows)
    rows.sort(key=lambda row: -row["duration"])
    data = DevData([], [], [], language, labels)
    with tqdm(total=round(sum(row["duration"] for row in rows)), desc="recognising", unit=" s of audio") as bar:
        for start in range(0, len(rows), batch_size):
            _add_batch(model, rows[start : start + batch_size], dataset_manifest, data)
            bar.update(round(sum(row["duration"] for row in rows[: start + batch_size])) - bar.n)
    if not data.references:
        raise ValueError(
            f"{dataset_manifest}: found no usable row among {len(rows)} with a text"
            f"{f' in the language {data.code}' if labels else ''}, expected dev data with texts"
            + (f"; the first error is: {data.failed[0]}" if data.failed else "; add texts")
        )
    return data


def score_dev_data(model: XLSRCTCModel, data: DevData) -> Scores:
    """Decode with the model's current settings, and score."""
    texts: list[str] = []
    for log_probs, lengths in data.batches:
        texts += [data.write(hypothesis.text) for hypothesis in decode_log_probs(model, log_probs, lengths)]
    return score_texts(data.references, texts, data.language)


class Sweep:
    """Tries settings of a model's beam search, each only once."""

    def __init__(self, model: XLSRCTCModel, data: DevData) -> None:
        """Set up for a model that decodes with a language model, and the data to decode."""
        self.tried: dict[Setting, Tried] = {}
        self._model, self._data = model, data

    def search(self, alphas: Sequence[float], betas: Sequence[float], beam_sizes: Sequence[int]) -> Tried:
        """Try a grid, then the neighbours of the best setting with ever smaller steps, then the widths of the beam."""
        grid = [Setting(alpha, beta, COARSE_BEAM_SIZE) for alpha in alphas for beta in betas]
        best = self._best(tqdm(grid, desc="α × β", unit=" settings"))
        steps = _step(alphas), _step(betas)
        for halving in range(_HALVINGS + 1):
            near = tuple(step / 2**halving for step in steps)
            for _ in tqdm(range(_MOST_MOVES), desc=f"around the best, ± {near[0]:g} α, {near[1]:g} β", leave=False):
                better = self._best([best.setting, *_neighbours(best.setting, *near)])
                if better == best:
                    break
                best = better
        widths = [Setting(best.setting.alpha, best.setting.beta, beam_size) for beam_size in beam_sizes]
        return self._best(tqdm(widths, desc="beams", unit=" settings"))

    def _best(self, settings: Iterable[Setting]) -> Tried:
        return min((self._try(setting) for setting in settings), key=lambda tried: tried.rank)

    def _try(self, setting: Setting) -> Tried:
        if setting not in self.tried:
            searcher = self._model.decoding.decoding
            if isinstance(searcher, BeamBatchedCTCInfer):
                search = searcher.search_algorithm  # reads its settings at each call
                search.threads = count_cores()
                search.beam_size, search.beam_beta = setting.beam_size, setting.beta
                search.fusion_models_alpha = [setting.alpha]
            else:
                searcher.change(setting.beam_size, setting.alpha, setting.beta)
            scores = score_dev_data(self._model, self._data)
            self.tried[setting] = Tried(setting, scores.wer, scores.cer)
        return self.tried[setting]


def _add_batch(model: XLSRCTCModel, rows: Sequence[Mapping[str, Any]], manifest: Path, data: DevData) -> None:
    waveforms, references = [], []
    shortest, rate_hz = model.encoder.receptive_field(), int(model.cfg.sample_rate)
    for row in rows:
        path = resolve_audio_path(row["audio_filepath"], manifest)
        try:
            samples = load_waveform(path, row.get("offset") or 0.0, row["duration"], "average", rate_hz)
            if len(samples) < shortest:
                raise AudioError(f"too short: {path}: {len(samples)} samples, the model needs {shortest}")
        except AudioError as error:
            data.failed.append(str(error))
            continue
        waveforms.append(samples)
        references.append(row["text"])
    if not waveforms:
        return
    log_probs = [frames.float().cpu() for frames in compute_log_probs(model, waveforms)]
    if data.labels:
        log_probs = [data.labels.mask(frames, data.code) for frames in log_probs]
    lengths = torch.tensor([len(frames) for frames in log_probs])
    data.batches.append((torch.nn.utils.rnn.pad_sequence(log_probs, batch_first=True), lengths))
    data.references.extend(references)


def _neighbours(setting: Setting, alpha_step: float, beta_step: float) -> Iterator[Setting]:
    for alpha, beta in product((-alpha_step, 0.0, alpha_step), (-beta_step, 0.0, beta_step)):
        if setting.alpha + alpha >= 0:
            yield Setting(round(setting.alpha + alpha, 6), round(setting.beta + beta, 6), setting.beam_size)


def _step(values: Sequence[float]) -> float:
    """Return the average step of a grid; for a single value, a quarter of it, or of 1."""
    ordered = sorted(values)
    return (ordered[-1] - ordered[0]) / (len(ordered) - 1) if len(ordered) > 1 else abs(ordered[0]) / 4 or 0.25
