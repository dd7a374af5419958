"""What can only be judged over the whole corpus: the same audio twice, the same text twice, a text in two splits.

Shards are worked on alone and kept for later runs, so these gates come after them, over their results in corpus order.
Eight bytes an utterance are held, and whole keys only where those eight repeat: ten million utterances are 80 MB.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy

# Position of a result among all results → (reason, detail).
Verdicts = dict[int, tuple[str, str]]
Results = Callable[[], Iterable[Mapping[str, Any]]]


def find_duplicate_audio(results: Results, verdicts: Verdicts) -> Verdicts:
    """Find kept utterances whose samples are those of an earlier one, whatever the files are called.

    Args:
        results: Gives the results of all shards in corpus order, each time it is called.
        verdicts: Positions that are out already.

    Returns:
        The positions of the repetitions, each with where the audio came first.
    """
    return _find_repeated(results, verdicts, lambda result: result["measures"]["digest"], "duplicate_audio", "samples")


def find_duplicate_text(results: Results, verdicts: Verdicts) -> Verdicts:
    """Find kept utterances whose speaker said their text in an earlier one; otherwise like `find_duplicate_audio`."""

    def get_key(result: Mapping[str, Any]) -> str:
        digest = hashlib.sha256(
            f"{result['kept']['speaker']}\0{result['kept']['text']}".encode("utf-8", "surrogatepass")
        )
        return digest.hexdigest()[:32]

    return _find_repeated(results, verdicts, get_key, "duplicate_text", "text of this speaker")


def find_text_in_evaluation(
    results: Results, verdicts: Verdicts, get_split: Callable[[Mapping[str, Any]], str]
) -> Verdicts:
    """Find kept utterances of train whose text is in dev or test, and of dev whose text is in test."""
    found: Verdicts = {}
    for evaluation, others in (("test", ("dev", "train")), ("dev", ("train",))):
        held = {
            _hash_text(result) for _, result in _list_kept(results, verdicts | found) if get_split(result) == evaluation
        }
        for at, result in _list_kept(results, verdicts | found):
            if get_split(result) in others and _hash_text(result) in held:
                found[at] = ("text_in_evaluation", f"the same text is in {evaluation}")
    return found


def _hash_text(result: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(result["kept"]["text"].encode("utf-8", "surrogatepass")).digest()[:16]


def _list_kept(results: Results, verdicts: Mapping[int, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at, result in enumerate(results()):
        if "kept" in result and at not in verdicts:
            yield at, result


def _find_repeated(
    results: Results, verdicts: Verdicts, get_key: Callable[[Mapping[str, Any]], str], reason: str, what: str
) -> Verdicts:
    prefixes = array("Q", (int(get_key(result)[:16], 16) for _, result in _list_kept(results, verdicts)))
    values, counts = numpy.unique(numpy.frombuffer(prefixes, "uint64") if prefixes else [], return_counts=True)
    repeated = {int(value) for value in values[counts > 1]}
    if not repeated:
        return {}
    first: dict[str, str] = {}
    found: Verdicts = {}
    for at, result in _list_kept(results, verdicts):
        key = get_key(result)
        if int(key[:16], 16) in repeated:
            if key in first:
                found[at] = (reason, f"the {what} of {first[key]}")
            first.setdefault(key, f"{result['path']}, line {result['line']}")
    return found
