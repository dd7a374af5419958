"""Training of n-gram language models: of characters for NeMo's `beam_batch` (NGPU-LM), of words for pyctcdecode.

KenLM's `lmplz` estimates. This module adds text normalisation, removal of repeated lines and of evaluation sentences,
interpolation of a text of the target domain with a general one, and the perplexity on held-out text.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.arguments import is_int, require_choice
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.scripts import describe_foreign_labels
from data_prep.manifest import write_json
from data_prep.text.normalizer import fingerprint_language
from data_prep.text.policy import TextPolicy
from nemo_models.language_models.arpa import BackoffModel, read_arpa, write_arpa
from nemo_models.language_models.corpus import LEAK_POLICIES, HeldOut, LeakWatch, LineRules, prepare_text
from nemo_models.language_models.estimation import Estimator, find_lmplz
from nemo_models.language_models.interpolation import fit_weights, interpolate
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.lm_file import NgramLMMetadata, hash_labels, token_words, write_token_lm
from nemo_models.language_models.perplexity import HeldOutScores, measure_language_model, score_sentences
from nemo_models.language_models.text_counts import TextCounts, describe_counts, suggest_settings
from nemo_models.language_models.word_lm import read_unigrams

MIN_ORDER, MAX_ORDER = 2, 10  # NGPU-LM cannot read unigrams alone; scripts/build_kenlm.sh compiles lmplz for up to 10
SUFFIXES = {"token": ".nemo", "word": ".arpa"}  # kind of language model → its file


@dataclass(frozen=True)
class Component:
    """One side, `text` or `in_domain`, of a language model.

    Attributes:
        name: Name of the side.
        weight: Weight in the mixture, 0 … 1.
        counts: Counts of its lines.
        held_out: Scores of this side alone on the held-out text; `None` without one.
    """

    name: str
    weight: float
    counts: TextCounts
    held_out: HeldOutScores | None


@dataclass(frozen=True)
class NgramLMReport:
    """Result of the training of a language model."""

    output: Path
    ngrams: dict[int, int]  # number of n-grams by order
    counts: TextCounts  # of all texts
    components: list[Component]
    held_out: HeldOutScores | None  # of the whole
    seconds: float
    size_bytes: int
    suggestions: list[str]  # settings that would keep lines which were left out


def train_ngram_lm(
    texts: Sequence[Path],
    labels: Sequence[str],
    output: Path,
    order: int = 6,
    prune: Sequence[int] = (),
    memory: str = "1G",
    numbers: str = "reject",
    *,
    annotations: str = "reject",
    abbreviations: str = "expand",
    kind: str = "token",
    in_domain: Sequence[Path] = (),
    held_out: Path | float | None = None,
    check_against: Sequence[Path] = (),
    leaks: str = "refuse",
    deduplicate: bool = True,
    num_workers: int | None = None,
    language: str = DEFAULT_LANGUAGE,
    letters: Mapping[str, str] | None = None,
) -> NgramLMReport:
    """Estimate an n-gram language model and write it, with the report beside it as `<output>.json`.

    Args:
        texts: UTF-8 text files, one sentence a line, plain or gzip (`.gz`). They are streamed: memory stays bounded.
        labels: The acoustic model's labels, in order, without the blank. Special tokens (`<s>`, `[UNK]`) among them get
            no probability; a label of several characters is written where the longest match finds it.
        output: The file to write, `.nemo` for tokens, `.arpa` for words; it appears complete or not at all.
        order: Longest n-gram, 2 … 10, in characters or words.
        prune: For each order, drop n-grams seen that often or less (`0 0 1`: trigrams and longer seen once); the last
            value holds for the remaining orders. Empty: keep all.
        memory: Memory that `lmplz` uses for sorting before it uses the disk, in its notation (`500M`, `1G`, `50%`).
        numbers: `reject` lines with numbers, or `verbalize` them, see `data_prep.text.policy.TextPolicy`.
        annotations: `reject` lines with notes such as [हँसी], `strip` the notes, or `keep` their words.
        abbreviations: `expand` those with one reading, `reject` lines with any, or `keep` them without their dots.
        kind: `token`: of characters, for `beam_batch`; `word`: for pyctcdecode.
        in_domain: Text of the target domain: estimated separately, and mixed with the model of `texts` by the weights
            that predict the held-out text best.
        held_out: Text to measure on, or the share of lines (of `in_domain` if given) to keep for it; its lines are not
            used for estimation.
        check_against: Manifests of evaluation data, whose sentences the texts must not contain.
        leaks: With lines that hold them: `refuse` the texts, `drop` the lines, or `allow` them.
        deduplicate: Whether repeated lines count once.
        num_workers: Processes that normalise; `None` is one a core.
        language: Code of the texts' language, or the path of a language file.
        letters: Letter of the language -> label, where the labels are those of several languages; lines with other
            letters are left out. `None`: every label is a letter of the language.

    Returns:
        Counts of lines and n-grams, weights, perplexities, time and size.

    Raises:
        FileNotFoundError: A text, a manifest or `lmplz` is missing.
        ValueError: A setting or the labels are invalid; a text cannot be read or contains evaluation sentences; there
            is no usable line; or `lmplz` failed.
    """
    started = time.monotonic()
    sides = {"in_domain": list(in_domain), "text": list(texts)} if in_domain else {"text": list(texts)}
    _check_arguments([*texts, *in_domain], order, prune)
    _check_choices(kind, output, leaks, bool(in_domain), held_out)
    require_choice("numbers", numbers, ("reject", "verbalize"))
    policy = TextPolicy(numbers, annotations=annotations, abbreviations=abbreviations, language=language)
    find_lmplz()
    tokenizer = LabelTokenizer(labels)
    rules = LineRules(frozenset(letters) if letters else tokenizer.characters, policy, num_workers)
    held = HeldOut(held_out, rules)
    watch = LeakWatch(check_against, policy) if check_against and leaks != "allow" else None
    folding = str.maketrans(dict(letters or {}))
    estimator = Estimator(order, tuple(prune), memory, tokenizer if kind == "token" else None, deduplicate, folding)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as name:
        folder, prepared = Path(name), {}
        for side, paths in sides.items():
            prepared[side] = prepare_text(paths, rules, folder / f"{side}.txt", held, watch, leaks)
            _check_script(paths, prepared[side][1], rules, language)
            held.close()
        names = {side: ", ".join(path.name for path in paths) for side, paths in sides.items()}
        arpas = [estimator.run(names[side], *prepared[side], held.unseen_words, folder) for side in sides]
        models = _read_models(arpas, estimator.tokenizer)
        model, weights, scores = _combine(models, estimator, held)
        counts = [prepared[side][1] for side in sides]
        metadata = _describe_origin(counts, weights, labels, order, prune, language)
        made = folder / f"lm{SUFFIXES[kind]}"
        if kind == "token":
            write_token_lm(model, metadata, made)
        elif len(arpas) == 1:
            made = arpas[0]
        else:
            write_arpa(model, made)
        made.replace(output)
    report = NgramLMReport(
        output,
        {length: len(part.keys) for length, part in enumerate(model.orders, 1)},
        _sum_counts(counts),
        [Component(*values) for values in zip(sides, weights, counts, scores, strict=False)],
        scores[-1],
        time.monotonic() - started,
        output.stat().st_size,
        suggest_settings(_sum_counts(counts), policy),
    )
    write_json(output.with_name(f"{output.name}.json"), _as_json(report, kind, metadata))
    return report


def _read_models(arpas: Sequence[Path], tokenizer: LabelTokenizer | None) -> list[BackoffModel]:
    """Read ARPA files on one vocabulary: the labels, or the words of all."""
    if tokenizer is not None:
        tokens = token_words(tokenizer.labels)
        return [read_arpa(arpa, tokens, is_closed=True, excluded=tokenizer.special) for arpa in arpas]
    words = sorted({word.encode() for arpa in arpas for word in read_unigrams(arpa)})
    return [read_arpa(arpa, words, is_closed=False) for arpa in arpas]


def _combine(
    models: Sequence[BackoffModel], estimator: Estimator, held: HeldOut
) -> tuple[BackoffModel, list[float], list[HeldOutScores | None]]:
    """Return one model of all, their weights, and the held-out scores of each and of the whole."""
    encoded = {line: written for line in held.lines if (written := estimator.encode(line)) is not None}
    lines = [line for line in held.lines if line in encoded]
    tokens = [encoded[line] for line in lines]
    unknown = held.count_unseen_words()
    if len(models) == 1:
        return models[0], [1.0], [measure_language_model(models[0], lines, tokens, unknown) if lines else None] * 2
    scored = [score_sentences(model, tokens) for model in models]
    weights = fit_weights(np.stack([scores[is_known] for scores, is_known in scored]))
    model = interpolate(models, list(weights))
    return model, list(weights), [measure_language_model(each, lines, tokens, unknown) for each in (*models, model)]


def _describe_origin(
    counts: Sequence[TextCounts],
    weights: Sequence[float],
    labels: Sequence[str],
    order: int,
    prune: Sequence[int],
    language: str,
) -> NgramLMMetadata:
    total = _sum_counts(counts)
    return NgramLMMetadata(
        order=order,
        labels_hash=hash_labels(labels),
        normalizer_fingerprint=fingerprint_language(language),
        prune=tuple(prune),
        lines=total.lines,
        lines_used=total.used,
        lines_left_out=total.left_out,
        weights=tuple(round(float(weight), 6) for weight in weights),
    )


def _sum_counts(parts: Sequence[TextCounts]) -> TextCounts:
    total = TextCounts()
    for part in parts:
        total.add(part)
    return total


def _as_json(report: NgramLMReport, kind: str, metadata: NgramLMMetadata) -> dict[str, Any]:
    def scores(held_out: HeldOutScores | None) -> dict[str, Any] | None:
        return {**asdict(held_out), "oov_rate": held_out.oov_rate} if held_out else None

    def lines(counts: TextCounts) -> dict[str, Any]:  # `asdict` does not support a Counter
        named = {"reasons": counts.reasons, "characters": counts.characters}
        return {**vars(counts), **{name: dict(counter.most_common()) for name, counter in named.items()}}

    return {
        "kind": kind,
        **asdict(metadata),
        "ngrams": report.ngrams,
        "text": lines(report.counts),
        "held_out": scores(report.held_out),
        "components": [
            {"name": part.name, "weight": part.weight, "text": lines(part.counts), "held_out": scores(part.held_out)}
            for part in report.components
        ],
        "seconds": round(report.seconds, 2),
        "size_bytes": report.size_bytes,
    }


def _check_arguments(texts: Sequence[Path], order: int, prune: Sequence[int]) -> None:
    if not texts:
        raise ValueError("text=[]: expected one text or more; give text=a.txt")
    missing = [str(path) for path in texts if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"no such text: {', '.join(missing)}")
    if not is_int(order) or not MIN_ORDER <= order <= MAX_ORDER:
        raise ValueError(f"order={order}: expected a whole number, {MIN_ORDER} … {MAX_ORDER}")
    are_counts = all(is_int(threshold) and threshold >= 0 for threshold in prune)
    if not are_counts or list(prune) != sorted(prune) or len(prune) > order:
        raise ValueError(f"prune={list(prune)}: expected at most {order} counts that never fall, such as [0,0,1]")


def _check_script(texts: Sequence[Path], counts: TextCounts, rules: LineRules, language: str) -> None:
    """Raise `ValueError` where no line is usable because of the script."""
    why = describe_foreign_labels(load_language(language), language, rules.labels, counts.characters)
    if why and not counts.used:
        name = ", ".join(path.name for path in texts)
        raise ValueError(f"{name}: found no usable line ({describe_counts(counts)}); {why}")


def _check_choices(kind: str, output: Path, leaks: str, is_mixture: bool, held_out: Path | float | None) -> None:
    require_choice("kind", kind, SUFFIXES)
    if output.suffix != SUFFIXES[kind]:
        raise ValueError(f"output={output}: expected a name that ends in {SUFFIXES[kind]} (kind={kind})")
    require_choice("leaks", leaks, LEAK_POLICIES)
    if is_mixture and held_out is None:
        raise ValueError("held_out=null: expected a text or a share with in_domain=…; give held_out=0.01, or a text")
