"""Transcribe audio files with a CTC model, greedily or by beam search with an n-gram language model.

Writes JSON lines in the input's order: the manifest's fields and `pred_text`; a file that cannot be transcribed has an
`error` and an empty text, the others are done. Exit status: 0, or 3 if there was such a file, or 1 if nothing was done.

    python scripts/transcribe_speech.py model_path=model.nemo dataset_manifest=test.json output_filename=out.json
"""

import time
from collections import Counter
from pathlib import Path

from omegaconf import DictConfig

from job import job


@job("transcribe_speech")
def main(cfg: DictConfig) -> int:
    from nemo.utils import logging
    from tqdm import tqdm

    from nemo_models.decoding import configure_decoding
    from nemo_models.model_loading import choose_device, load_ctc_model, set_compute_dtype
    from nemo_models.transcript_files import (
        list_inputs,
        measure_durations,
        plan_output,
        score_transcripts,
        write_transcripts,
    )
    from nemo_models.transcription import iter_transcripts

    logging.setLevel(logging.ERROR)
    manifest, folder, model_path = (
        path and Path(path) for path in (cfg.dataset_manifest, cfg.audio_dir, cfg.model_path)
    )
    inputs = list_inputs(manifest, folder, cfg.audio_key, cfg.audio_type)
    model_name = model_path.stem if model_path else str(cfg.pretrained_name)
    output, text_key = plan_output(
        cfg.output_filename, manifest or folder, model_name, cfg.append_pred, cfg.pred_name_postfix
    )
    if output.exists() and not cfg.overwrite_transcripts:
        print(f"{output} is there; nothing done (overwrite_transcripts=true does it again)")
        return 0
    model = load_ctc_model(model_path, cfg.pretrained_name, choose_device(cfg.cuda))
    autocast_dtype = set_compute_dtype(model, cfg.compute_dtype, cfg.amp, cfg.amp_dtype)
    configure_decoding(model, cfg.ctc_decoding)

    inputs = measure_durations(inputs)
    transcripts = []
    started = time.monotonic()
    total_s = sum(audio.duration_s or 0.0 for audio in inputs)
    layout = "{desc} {percentage:3.0f} % |{bar}| {n:.0f}/{total:.0f} s of audio, {rate_fmt} [{elapsed}<{remaining}]"
    with tqdm(total=total_s, desc="transcribing", unit=" s", bar_format=layout) as bar:
        options = (cfg.batch_size, cfg.num_workers, cfg.channel_selector, autocast_dtype, cfg.presort_manifest)
        for transcript in iter_transcripts(model, inputs, *options):
            transcripts.append(transcript)
            bar.update(transcript.audio.duration_s or 0.0)
    seconds = time.monotonic() - started
    write_transcripts(output, transcripts, text_key)

    errors = Counter(transcript.error.split(":")[0] for transcript in transcripts if transcript.error)
    done_s = sum(transcript.duration_s for transcript in transcripts)
    speed = f"{done_s:.0f} s of audio in {seconds:.1f} s ({done_s / seconds:.1f} × real time)"
    print(f"{output}: {len(transcripts)} inputs, {speed}")
    if cfg.calculate_wer and (scores := score_transcripts(transcripts, cfg.gt_text_attr_name)):
        print(scores)
    if errors:
        reasons = ", ".join(f"{reason} {count}" for reason, count in errors.most_common())
        print(f"{errors.total()} inputs failed and are not scored (see `error` in their lines): {reasons}")
    return 3 if errors else 0


if __name__ == "__main__":
    main()
