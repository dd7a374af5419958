"""Matches references and predictions row by row; no row is dropped silently."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.arguments import name_some, require_choice
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.languages.union import name_languages
from data_prep.text.annotations import find_annotations, strip_annotations
from data_prep.text.normalizer import fingerprint_language
from data_prep.text.policy import ANNOTATION_POLICIES
from nemo_models.evaluation.ctm_segments import cut_by_segments
from nemo_models.evaluation.references import Reference
from nemo_models.evaluation.rows import FINGERPRINT_KEY, Keys, Row, read_rows

Key = tuple[str, float]


@dataclass(frozen=True)
class ScoredUtterance:
    """One scored utterance.

    Attributes:
        row: The reference's row, with reference, speaker and duration.
        reference: What was said.
    """

    row: Row
    reference: Reference


@dataclass
class System:
    """One system's predictions, in the order of the utterances.

    Attributes:
        name: Its name in the report.
        path: File of its predictions.
        rows: One for each utterance.
    """

    name: str
    path: Path
    rows: list[Row]


@dataclass
class TestSet:
    """Utterances and predictions to score.

    Attributes:
        utterances: Utterances in the order of the references.
        systems: Each with as many rows.
        unscorable: Rows without a reference, named with the reason; no system is scored on them.
        warnings: What a reader of the report has to know, one line each.
        folder: Folder at which relative audio paths begin.
    """

    utterances: list[ScoredUtterance]
    systems: list[System]
    unscorable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    folder: Path = Path()


def load_test_set(
    predictions: Sequence[Path],
    references: Path | None = None,
    names: Sequence[str] | None = None,
    keys: Keys | None = None,
    annotations: str = "keep",
    language: str = DEFAULT_LANGUAGE,
) -> TestSet:
    """Read predictions and references, and match them by recording and offset.

    Args:
        predictions: One file for each system.
        references: A file of references; `None`: they are in the predictions' own rows.
        names: Names of the systems; `None`: those of the files.
        keys: Names of the fields that hold the texts.
        annotations: What becomes of notes that nobody speaks ([हँसी], <noise>, SIL): `keep` scores them as words,
            `strip` removes them from references and predictions, `reject` does not score a row whose reference has one.
        language: Code of the texts' language, or the path of a language file; or several.

    Returns:
        The test set.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A row is missing, doubled or superfluous, two files differ in a reference, or nothing can be scored.
    """
    keys = keys or Keys()
    if names is not None and (len(names) != len(predictions) or len(set(names)) < len(names)):
        raise ValueError(f"names={list(names)}: expected {len(predictions)} different names, one for each system")
    if not predictions:
        raise ValueError(
            "predictions=[]: expected one file or more; name transcripts, or model_path and dataset_manifest"
        )
    require_choice("annotations", annotations, ANNOTATION_POLICIES)
    files = [_apply_annotations(read_rows(path, keys), annotations) for path in predictions]
    reference_path = references or predictions[0]
    reference_rows = _apply_annotations(read_rows(references, keys), annotations) if references else files[0]
    if references is None and predictions[0].suffix.lower() in (".trn", ".ctm"):
        raise ValueError(
            f"predictions={predictions[0]}: found no references in a {predictions[0].suffix}; add dataset_manifest=…"
        )
    test_set = TestSet([], [], folder=reference_path.resolve().parent)
    kept = _keep_scorable(reference_rows, test_set, reference_path)
    for path, rows, name in zip(predictions, files, names or _make_names(predictions), strict=True):
        if path.suffix.lower() == ".ctm":
            rows = cut_by_segments(rows, kept, path)
        matched = _match(kept, rows, path, reference_path, [row for row in reference_rows if row.reference is None])
        if references is None:
            _check_same_references(kept, matched, path, predictions[0])
        test_set.systems.append(System(name, path, [_check_prediction(row, path, test_set) for row in matched]))
    _warn_of_fingerprints([reference_rows, *files], test_set, language)
    test_set.utterances = [ScoredUtterance(row, row.reference or Reference("")) for row in kept]
    return test_set


def _apply_annotations(rows: Sequence[Row], annotations: str) -> list[Row]:
    """Strip notes from texts, or take the reference from a row whose reference has one.

    A reference with alternatives, `[a/b]`, stays as it is: its brackets hold spoken words.
    """
    if annotations == "keep":
        return list(rows)
    changed = []
    for row in rows:
        reference, hypothesis = row.reference, row.hypothesis
        if reference is not None and not reference.choices:
            text = unicodedata.normalize("NFC", reference.text)  # the form that the patterns are written in
            if find_annotations(text):
                reference = Reference(strip_annotations(text)) if annotations == "strip" else None
        if hypothesis is not None and annotations == "strip":
            hypothesis = strip_annotations(unicodedata.normalize("NFC", hypothesis))
        changed.append(replace(row, reference=reference, hypothesis=hypothesis))
    return changed


def _keep_scorable(rows: Sequence[Row], test_set: TestSet, path: Path) -> list[Row]:
    kept = [row for row in rows if row.reference is not None]
    test_set.unscorable = [
        f"{row.place}: {row.audio}: no reference, or one with an annotation" for row in rows if row.reference is None
    ]
    if not kept:
        raise ValueError(f"{path}: found no reference in {len(rows)} rows; name the field: gt_text_attr_name=…")
    if not any(row.reference and row.reference.text.split() for row in kept):
        raise ValueError(f"{path}: found no word in {len(kept)} references, expected words; add texts")
    empty = sum(1 for row in kept if row.reference is not None and not row.reference.text.split())
    if empty:
        test_set.warnings.append(f"{path}: {empty} references are empty: every word recognised there is an insertion")
    if test_set.unscorable:
        named = name_some(test_set.unscorable)
        test_set.warnings.append(
            f"{path}: {len(test_set.unscorable)} rows have no reference and are not scored: {named}"
        )
    return kept


def _make_names(paths: Sequence[Path]) -> list[str]:
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for path in paths]
    repeated = Counter(names)
    return [name if repeated[name] == 1 else f"{name} ({number})" for number, name in enumerate(names, 1)]


def _check_prediction(row: Row, path: Path, test_set: TestSet) -> Row:
    if row.error:
        test_set.warnings.append(
            f"{row.place}: {row.audio}: not transcribed ({row.error}); all its words count as deleted"
        )
        return replace(row, hypothesis=row.hypothesis or "")
    if row.hypothesis is None:
        raise ValueError(f"{row.place}: found no prediction for {row.audio}; name the field: pred_text_attr_name=…")
    return row


def _match(
    kept: Sequence[Row], rows: Sequence[Row], path: Path, reference_path: Path, unscorable: Sequence[Row]
) -> list[Row]:
    """Return the predictions in the references' order.

    Paths may be written in other ways in the two files (from another folder, without an ending): the strictest way of
    comparing under which all rows correspond is taken.
    """
    best: tuple[int, str] | None = None
    for name_of in _NAMINGS:
        wanted = [_key(row, name_of, reference_path) for row in kept]
        given = [_key(row, name_of, path) for row in rows]
        passed = {_key(row, name_of, reference_path) for row in unscorable}
        problem = _find_problem(wanted, given, kept, rows, path, reference_path, passed)
        if problem is None:
            by_key = dict(zip(given, rows, strict=True))
            return [by_key[key] for key in wanted]
        common = len(set(wanted) & set(given))
        if best is None or common > best[0]:
            best = (common, problem)
    raise ValueError(best[1] if best else f"{path}: found no row")


def _key(row: Row, name_of: Callable[[str, Path], str], path: Path) -> Key:
    channel = row.fields.get("channel")
    name = name_of(row.audio, path)
    return (f"{name} channel {channel}" if channel not in (None, "1", "A") else name, round(row.offset_s, 3))


_NAMINGS: tuple[Callable[[str, Path], str], ...] = (
    lambda audio, path: audio,
    lambda audio, path: str((path.resolve().parent / Path(audio).expanduser()).resolve()),
    lambda audio, path: Path(audio).name,
    lambda audio, path: Path(audio).stem,
)


def _find_problem(
    wanted: Sequence[Key],
    given: Sequence[Key],
    kept: Sequence[Row],
    rows: Sequence[Row],
    path: Path,
    reference_path: Path,
    passed: Set[Key],
) -> str | None:
    for keys, where, named in ((wanted, reference_path, kept), (given, path, rows)):
        counts = Counter(keys)
        doubled = [
            f"{row.audio} at {row.offset_s:g} s" for row, key in zip(named, keys, strict=True) if counts[key] > 1
        ]
        if doubled:
            named_rows = name_some(doubled)
            return f"{where}: found {len(doubled)} rows that share recording and offset, expected one: {named_rows}"
    there, needed = set(given), set(wanted)
    missing = [f"{row.audio} at {row.offset_s:g} s" for row, key in zip(kept, wanted, strict=True) if key not in there]
    if missing:
        return (
            f"{path}: {len(missing)} of {len(kept)} utterances are missing: {name_some(missing)}; transcribe them too"
        )
    extra = [
        f"{row.audio} at {row.offset_s:g} s"
        for row, key in zip(rows, given, strict=True)
        if key not in needed and key not in passed
    ]
    if extra:
        return f"{path}: {len(extra)} rows have no reference in {reference_path}: {name_some(extra)}; remove them"
    return None


def _check_same_references(kept: Sequence[Row], matched: Sequence[Row], path: Path, first: Path) -> None:
    """References inside two files of predictions must be the same texts."""
    for row, other in zip(kept, matched, strict=True):
        if other.reference is not None and row.reference is not None and other.reference.text != row.reference.text:
            raise ValueError(
                f"{path}: found another reference of {row.audio} than in {first}; score both against one file: "
                "dataset_manifest=…"
            )


def _warn_of_fingerprints(files: Sequence[Sequence[Row]], test_set: TestSet, language: str) -> None:
    own = [fingerprint_language(part) for part in name_languages(language).values()]
    found: Mapping[str, int] = Counter(
        str(row.fields[FINGERPRINT_KEY]) for rows in files for row in rows if row.fields.get(FINGERPRINT_KEY)
    )
    others = [fingerprint for fingerprint in found if fingerprint not in own]
    if others:
        test_set.warnings.append(
            f"rows were normalised by {', '.join(others)}, this project's normaliser is {', '.join(own)}; "
            "all texts are normalised again for the score"
        )
