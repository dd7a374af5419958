"""Make a corpus of synthesised Hindi speech from text files, with eSpeak NG's and Festival's voices.

A voice's name is its settings: espeak-f3-p60-s160 is variant f3 (`espeak-ng --voices=variant`; hi = none), pitch 60,
160 words a minute; festival-nsk-p120-s90 is Festival's Hindi voice at 120 Hz, 90 % of its speed. Ranges (p30..70) draw
a value for each sentence. The same arguments give the same corpus; run them again to continue a stopped run.
"""

import random
import sys
from collections import Counter

from omegaconf import DictConfig

from data_prep.arguments import list_values
from data_prep.synthesis.corpus import read_sentences, read_voice_names, synthesize_corpus
from hydra_job import hydra_job


@hydra_job("synthesize_speech")
def main(cfg: DictConfig) -> int:
    """Read sentences, speak them, report."""
    reasons: Counter[str] = Counter()
    excluded = list_values(cfg.exclude)
    exclude = read_sentences(excluded, skipped=lambda reason: None) if excluded else []
    skipped = (lambda reason: reasons.update([reason])) if cfg.skip_unusable else None
    sentences = read_sentences(list_values(cfg.text), cfg.min_words, cfg.max_words, exclude, skipped)
    random.Random(cfg.seed).shuffle(sentences)
    stop = None if cfg.max_sentences is None else cfg.skip_sentences + cfg.max_sentences
    chosen = sentences[cfg.skip_sentences : stop]
    if not chosen:
        raise ValueError(
            f"skip_sentences={cfg.skip_sentences}: expected less than {len(sentences)}, the number of usable sentences"
        )
    voices = [*list_values(cfg.voices), *(read_voice_names(cfg.voices_file) if cfg.voices_file else [])]
    errors = synthesize_corpus(chosen, voices, cfg.corpus_dir, cfg.voices_per_sentence, cfg.seed, cfg.workers)
    for reason, count in reasons.most_common():
        print(f"lines left out, {reason}: {count}")
    print(f"{len(chosen)} of {len(sentences)} sentences, {cfg.voices_per_sentence} voices each: {cfg.corpus_dir}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    main()
