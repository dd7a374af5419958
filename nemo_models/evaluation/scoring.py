"""The one scorer behind every error rate that the project prints: transcription, training, tuning and demo.

Word errors are counted by the alignment of `alignment.py`, characters by rapidfuzz, on text that was normalised by this
project: the numbers equal jiwer's on that text. `evaluate.py` reports the same errors in its layer `encoding`.

Never score Hindi with Whisper's normaliser or any other that strips Unicode category M: it deletes the vowel signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN
from nemo_models.evaluation.alignment import align
from nemo_models.evaluation.text_pairs import cut_pairs
from nemo_models.evaluation.words import WordVocabulary


@dataclass(frozen=True)
class Scores:
    """Error rates over a set of utterances.

    Attributes:
        wer: (substitutions + deletions + insertions) / words, 0 … (above 1 where insertions are many).
        cer: The same over characters. A character is a Unicode code point (a vowel sign counts as one), and the space
            between two words is one too, as jiwer counts.
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


def score_texts(
    references: Sequence[str], hypotheses: Sequence[str], language: str | Sequence[str] = DEFAULT_LANGUAGE
) -> Scores:
    """Score hypotheses against references; both are normalised by `normalize_text` first.

    Everything in a hypothesis whose reference is empty is an insertion: it raises the error rate without adding to the
    words that the rate is a share of.

    Args:
        references: What was said.
        hypotheses: What was recognised, in the same order.
        language: Code of their language, or the path of a language file; or that of each pair.

    Returns:
        Error rates of the whole set (errors of all utterances over words of all utterances, not a mean of rates).

    Raises:
        ValueError: The two differ in length, or the references hold no word at all, so that no rate exists.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"hypotheses: found {len(hypotheses)}, expected {len(references)}, as many as references")
    languages = [language] * len(references) if isinstance(language, str) else language
    policies = {one: replace(AS_WRITTEN, language=one) for one in dict.fromkeys(languages)}
    normalized, recognised = (
        [normalize_text(text, policies[one]) for text, one in zip(texts, languages, strict=True)]
        for texts in (references, hypotheses)
    )
    if not any(normalized):
        raise ValueError(f"references: found no word in {len(references)} texts, expected words; add texts")
    vocabulary = WordVocabulary()
    _, reference_words, hypothesis_words = cut_pairs(vocabulary.read(normalized), vocabulary.read(recognised))
    substitutions, deletions, insertions = align(reference_words, hypothesis_words).errors.sum(axis=0).tolist()
    words = len(reference_words.ids)
    characters = sum(map(len, normalized))
    return Scores(
        wer=(substitutions + deletions + insertions) / words,
        cer=sum(map(Levenshtein.distance, normalized, recognised)) / characters,
        words=words,
        characters=characters,
        substitutions=substitutions,
        deletions=deletions,
        insertions=insertions,
        utterances=len(references),
    )
