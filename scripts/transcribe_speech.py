"""Transcribe audio files with a CTC model, greedily or by beam search with an n-gram language model.

Writes JSON lines in the input's order: the manifest's fields, `pred_text` and `words`; a file that cannot be
transcribed has an `error` and an empty text, the others are done. A job that was killed goes on where it was when it is
started again. Exit status: 0, or 3 if a file could not be transcribed, or 1 if nothing was done.

    python scripts/transcribe_speech.py model_path=model.nemo dataset_manifest=test.json output_filename=out.json
"""

import sys

from omegaconf import DictConfig, OmegaConf

from hydra_job import hydra_job

OPEN_KEYS = ("ctc_decoding", "rnnt_decoding", "multitask_decoding", "prompt", "model_change")


@hydra_job("transcribe_speech", open_keys=OPEN_KEYS)
def main(cfg: DictConfig) -> int:
    from nemo.utils import logging

    from nemo_models.transcription.command import run_command
    from nemo_models.transcription.nemo_arguments import check_nemo_arguments, read_arguments

    logging.setLevel(logging.ERROR)
    settings = read_arguments(OmegaConf.to_container(cfg, resolve=True))
    for note in check_nemo_arguments(settings):
        print(note, file=sys.stderr)
    summary = run_command(settings)
    if summary is None:
        print("the output is there; nothing done (overwrite_transcripts=true does it again)")
        return 0
    print(summary)
    if settings["calculate_rtfx"]:
        print(f"RTFx            {summary.speed:.3f}")
    return 3 if summary.errors else 0


if __name__ == "__main__":
    main()
