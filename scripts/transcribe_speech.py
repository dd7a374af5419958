"""Transcribe audio files with a CTC model, greedily or by beam search with an n-gram language model.

Writes JSON lines in the input's order: the manifest's fields, `pred_text` and `words`. An unreadable file gives a line
with an `error` and an empty text, a damaged file a line with a `warning`; all others are transcribed. After an
interruption, the same command continues the job. Exit status: 0 success; 3 a file has an error or a warning; 1 the job
failed.

    python scripts/transcribe_speech.py model_path=model.nemo dataset_manifest=test.json output_filename=out.json
"""

from hydra_job import hydra_job
from nemo_models.inference.processor import describe_formats
from nemo_models.transcription.job_settings import TranscribeSettings
from nemo_models.transcription.nemo_arguments import check_nemo_arguments, rewrite_argument


@hydra_job(
    "transcribe_speech",
    TranscribeSettings,
    rewrite=rewrite_argument,
    help_note=lambda: f"Number formats {describe_formats()}.",
    note=check_nemo_arguments,
)
def main(settings: TranscribeSettings) -> int:
    from nemo.utils import logging

    from nemo_models.transcription.command import run_command

    logging.setLevel(logging.ERROR)
    summary = run_command(settings)
    if summary is None:
        print("the output exists, nothing was done (overwrite_transcripts=true writes it again)")
        return 0
    print(summary)
    if settings.calculate_rtfx:
        print(f"RTFx            {summary.speed:.3f}")
    return 0 if summary.is_complete else 3


if __name__ == "__main__":
    main()
