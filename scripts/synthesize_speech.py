"""Make a corpus of synthesised speech from text files, with eSpeak NG's and Festival's voices.

A voice's name gives its settings. espeak-f3-p60-s160 is variant f3 (listed by `espeak-ng --voices=variant`; for no
variant write hi, or the name of another language's voice), pitch 60, 160 words a minute. festival-nsk-p120-s90 is
Festival's Hindi voice at 120 Hz and 90 % of its normal speed. A range (p30..70) draws a value for each sentence. The
same arguments give the same corpus; run the command again to continue a stopped run.
"""

import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data_prep.synthesis.corpus import read_sentences, read_voice_names, synthesize_corpus
from hydra_job import hydra_job


@dataclass(frozen=True)
class SynthesisSettings:
    """The arguments; the comments in `conf/synthesize_speech.yaml` explain them."""

    text: list[Path]
    language: str
    corpus_dir: Path
    voices: list[str]
    voices_file: Path | None
    voices_per_sentence: int
    seed: int
    min_words: int
    max_words: int | None
    skip_unusable: bool
    exclude: list[Path]
    skip_sentences: int
    max_sentences: int | None
    workers: int


@hydra_job("synthesize_speech", SynthesisSettings)
def main(settings: SynthesisSettings) -> int:
    """Read sentences, speak them, report."""
    reasons: Counter[str] = Counter()
    language = settings.language
    exclude = (
        read_sentences(settings.exclude, skipped=lambda reason: None, language=language) if settings.exclude else []
    )
    skipped = (lambda reason: reasons.update([reason])) if settings.skip_unusable else None
    sentences = read_sentences(settings.text, settings.min_words, settings.max_words, exclude, skipped, language)
    random.Random(settings.seed).shuffle(sentences)
    skip = settings.skip_sentences
    chosen = sentences[skip:][: settings.max_sentences]
    if not chosen:
        raise ValueError(f"skip_sentences={skip}: expected less than {len(sentences)}, the number of usable sentences")
    voices = [*settings.voices, *(read_voice_names(settings.voices_file) if settings.voices_file else [])]
    errors = synthesize_corpus(
        chosen, voices, settings.corpus_dir, settings.voices_per_sentence, settings.seed, settings.workers, language
    )
    for reason, count in reasons.most_common():
        print(f"lines left out, {reason}: {count}")
    spoken = f"{len(chosen)} of {len(sentences)} sentences"
    print(f"{spoken}, {settings.voices_per_sentence} voices each: {settings.corpus_dir}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    main()
