"""Word and character error rates, counted by jiwer on text that went through the project's own normaliser.

Never score Hindi with Whisper's normaliser or any other that strips Unicode category M: it deletes the vowel signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from data_prep.text.normalizer import normalize_text


@dataclass(frozen=True)
class Scores:
    """Error rates over a set of utterances.

    Attributes:
        wer: (substitutions + deletions + insertions) / words, 0 … (above 1 where insertions are many).
        cer: The same over characters. A character is a Unicode code point (a vowel sign is one of its own), and the
            space between two words is one too, as jiwer counts.
        words: Words in the references.
        characters: Characters in the references.
        substitutions: Words replaced by another.
        deletions: Words of the references that are missing.
        insertions: Words that are too many.
        utterances: Pairs scored, those with an empty reference included.
    """

    wer: float
    cer: float
    words: int
    characters: int
    substitutions: int
    deletions: int
    insertions: int
    utterances: int

    def __str__(self) -> str:
        return (
            f"WER {100 * self.wer:.2f} %, CER {100 * self.cer:.2f} % "
            f"({self.utterances} utterances, {self.words} words: "
            f"{self.substitutions} substituted, {self.deletions} deleted, {self.insertions} inserted)"
        )


def score_texts(references: Sequence[str], hypotheses: Sequence[str]) -> Scores:
    """Score hypotheses against references; both are normalised by `normalize_text` first.

    Everything in a hypothesis whose reference is empty is an insertion: it raises the error rate without adding to the
    words that the rate is a share of.

    Args:
        references: What was said.
        hypotheses: What was recognised, in the same order.

    Returns:
        Error rates of the whole set (errors of all utterances over words of all utterances, not a mean of rates).

    Raises:
        ValueError: The two differ in length, or the references hold no word at all, so that no rate exists.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses; expected one for each")
    normalized = [normalize_text(text) for text in references]
    recognised = [normalize_text(text) for text in hypotheses]
    if not any(normalized):
        raise ValueError(f"no word in any of {len(references)} references; there is no error rate")
    words = jiwer.process_words(normalized, recognised)
    characters = jiwer.process_characters(normalized, recognised)
    return Scores(
        wer=words.wer,
        cer=characters.cer,
        words=words.hits + words.substitutions + words.deletions,
        characters=characters.hits + characters.substitutions + characters.deletions,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        utterances=len(references),
    )
