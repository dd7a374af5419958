"""`scripts/transcribe_speech.py` from its settings to its summary."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice, require_int
from data_prep.job_keys import hash_file
from data_prep.languages.language import load_language
from data_prep.languages.union import LANGUAGE_KEY, is_several
from data_prep.text.inverse_numbers import make_number_writer
from nemo_models.files.model_language import choose_language, read_folds
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.inference.model_loading import DEFAULT_FORMAT, choose_device
from nemo_models.inference.processor import describe_formats
from nemo_models.transcription.batch_job import OutputPlan, Summary, make_job_key, run_job
from nemo_models.transcription.channels import split_channels
from nemo_models.transcription.inputs import STANDARD_INPUT, AudioInput, list_inputs, measure_durations
from nemo_models.transcription.job_settings import RecogniserArguments, TranscribeSettings
from nemo_models.transcription.options import STAMPS, TranscribeOptions
from nemo_models.transcription.output_formats import check_formats
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.transcript_files import check_output, plan_output
from nemo_models.transcription.workers import RecogniserSettings, make_engine, open_recogniser

MATMUL_PRECISIONS = ("highest", "high", "medium")
KEYED_SETTINGS = (
    *("channel_selector", "window_s", "append_pred", "pred_name_postfix", "timestamps", "confidence", "extract_nbest"),
    *("output_formats", "formats_dir", "itn", "itn_digits", "compute_dtype", "amp", "amp_dtype", "matmul_precision"),
    *("ctc_decoding", "boosting", "subtitles", "language"),
)
"""Settings that rows depend on: an interrupted job continues only if these are the same."""


def run_command(settings: TranscribeSettings) -> Summary | None:
    """Transcribe as `conf/transcribe_speech.yaml` describes.

    Args:
        settings: All arguments.

    Returns:
        The summary; `None` if the output exists and must not be overwritten.

    Raises:
        FileNotFoundError: A model, manifest, folder or list does not exist.
        ValueError: An argument is out of range.
    """
    formats = check_formats(settings.output_formats)
    require_int("warmup_steps", settings.warmup_steps)
    recogniser = make_recogniser_settings(
        settings,
        warmup_batches=settings.warmup_steps,
        sort_by_duration=settings.presort_manifest,
        timestamps=_wants_words(settings),
        nemo_fields=_list_nemo_fields(settings),
    )
    sources = {key: getattr(settings, key) for key in ("dataset_manifest", "audio_dir", "audio_list")}
    listed = list_inputs(**sources, audio_key=settings.audio_key, audio_type=settings.audio_type)
    inputs = split_channels(listed, settings.channel_selector)
    model_path, model_name = recogniser.model_path, str(settings.pretrained_name)
    if model_path:
        model_name = model_path.stem
    output, text_key = plan_output(
        settings.output_filename, _source_of(sources), model_name, settings.append_pred, settings.pred_name_postfix
    )
    check_output(output, inputs, settings.dataset_manifest, _list_read_files(settings))
    if output.exists() and not settings.overwrite_transcripts:
        return None
    language = find_language(settings.language, model_path)
    require_language(settings.language, model_path, inputs)
    if settings.itn:
        check_number_writing(language)
    plan = OutputPlan(
        output,
        text_key,
        formats,
        Path(settings.formats_dir or output.with_name(f"{output.stem}_files")),
        Path(settings.audio_dir) if settings.audio_dir else None,
        make_number_writer(settings.itn_digits) if settings.itn else None,
        settings.gt_text_attr_name if settings.calculate_wer else None,
        settings.subtitles,
        language,
    )
    device = choose_device(settings.cuda)
    engine = make_engine(settings.engine, settings.devices, settings.address, device.type == "cuda")
    with ThreadPoolExecutor(1) as aside:  # a large file's hash is ready when the model is
        hashed = aside.submit(hash_file, model_path) if model_path and model_path.is_file() else None
        recognise = open_recogniser(recogniser, engine, device)
    model_key = hashed.result() if hashed else model_name
    values = asdict(settings)
    key = make_job_key(model_key, {name: values[name] for name in KEYED_SETTINGS}, inputs)
    measured = measure_durations(inputs)
    with TranscriptionProgress(sum(audio.expected_s for audio in measured)) as progress:
        summary = run_job(partial(recognise, on_audio=progress.add_audio), measured, plan, key, progress)
    number_format = f"amp {settings.amp_dtype}" if settings.amp else recogniser.compute_dtype
    summary.number_format = f"{number_format} ({describe_formats()})" if device.type == "cpu" else number_format
    return summary


def find_language(asked: str | None, model_path: Path | None) -> str:
    """Find the language of a job with a `.nemo` file, see `choose_language`; models of a hub count as Hindi ones."""
    return choose_language(asked, read_config(model_path).get("normalizer_fingerprint"), str(model_path))


def read_config(model_path: Path | None) -> dict[str, Any]:
    """Read the configuration of a `.nemo` file; empty where there is none, as for models of a hub."""
    return read_nemo_config(model_path) if model_path is not None and model_path.is_file() else {}


def require_language(asked: str | None, model_path: Path | None, inputs: Sequence[AudioInput]) -> None:
    """Refuse a job in which every input would fail, for nothing says which language it is in.

    Raises:
        ValueError: The model writes several languages in one script, and neither the job nor an input names one.
    """
    codes = read_folds(read_config(model_path))
    named = any(audio.fields.get(LANGUAGE_KEY) or "text" in audio.fields for audio in inputs)
    if codes and asked is None and not named:
        raise ValueError(
            f"language=null: expected one of {', '.join(codes)} with {model_path}, which writes them in one script and "
            "cannot tell them apart; give language=…, or lang in the manifest's rows"
        )


def check_number_writing(language: str) -> None:
    """Check that numbers can be written in digits in a language.

    Raises:
        ValueError: They cannot.
    """
    if is_several(language) or not load_language(language).own_rules:
        raise ValueError(f"itn=true: expected false with language={language}; only Hindi numbers are written in digits")


def make_recogniser_settings(
    settings: RecogniserArguments, warmup_batches: int = 0, **options: Any
) -> RecogniserSettings:
    """Choose what a process needs to transcribe as the arguments say.

    Args:
        settings: The arguments.
        warmup_batches: Number of batches of noise before the first input.
        options: Further options, see `TranscribeOptions`.

    Raises:
        ValueError: An argument is out of range.
    """
    require_choice("matmul_precision", settings.matmul_precision, MATMUL_PRECISIONS)
    return RecogniserSettings(
        model_path=settings.model_path,
        pretrained_name=settings.pretrained_name,
        compute_dtype=settings.compute_dtype or DEFAULT_FORMAT,
        amp=settings.amp,
        amp_dtype=settings.amp_dtype,
        matmul_precision=settings.matmul_precision,
        decoding=settings.ctc_decoding,
        boosting=asdict(settings.boosting),
        options=TranscribeOptions(
            batch_size=settings.batch_size,
            num_workers=settings.num_workers,
            channel=settings.channel_selector,
            window_s=settings.window_s,
            language=settings.language,
            **options,
        ),
        warmup_batches=warmup_batches,
    )


def _list_read_files(settings: TranscribeSettings) -> dict[str, str]:
    """Return the files that are read beside the audio, by the argument that names each."""
    beam = settings.ctc_decoding.get("beam")
    files = {
        "model_path": str(settings.model_path) if settings.model_path else None,
        "audio_list": settings.audio_list,
        "ctc_decoding.beam.ngram_lm_model": beam.get("ngram_lm_model") if isinstance(beam, Mapping) else None,
        "boosting.phrases_file": settings.boosting.phrases_file,
    }
    return {key: name for key, name in files.items() if isinstance(name, str)}


def _source_of(sources: Mapping[str, Any]) -> Path | None:
    """Return the file or folder that names the audio, which a default output is named after."""
    named = [source for source in sources.values() if isinstance(source, str) and source != STANDARD_INPUT]
    return Path(named[0]) if named else None


def _wants_words(settings: TranscribeSettings) -> bool | None:
    timed = sorted(set(settings.output_formats) - {"txt"})
    if timed and settings.timestamps is False:
        raise ValueError(
            f"timestamps=false: expected null or true, because output_formats={timed} have times; remove it"
        )
    return True if timed else settings.timestamps


def _list_nemo_fields(settings: TranscribeSettings) -> tuple[str, ...]:
    fields = [*STAMPS] if settings.timestamps else []
    fields += ["word_confidence"] if settings.confidence else []
    return (*fields, *(["beams"] if settings.extract_nbest else []))
