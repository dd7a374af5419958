"""The character n-gram language model that NeMo's `beam_batch` decoder reads (NGPU-LM).

It is estimated by KenLM's `lmplz` over *tokens*: each character of a text is written as `chr(label index + 100)`, the
space too, because that is how NeMo finds a label's n-grams. A language model is therefore tied to the order of a
model's labels, and to the normaliser that its text went through; both are written into the file and checked before
decoding, since a mismatch gives no error by itself, only bad texts.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nemo.collections.asr.parts.submodules.ngram_lm import DEFAULT_TOKEN_OFFSET, NGramGPULanguageModel
from omegaconf import open_dict
from tqdm import tqdm

from data_prep.text import NORMALIZER_FINGERPRINT, check_policies, find_outside_alphabet, normalize
from nemo_models.nemo_file import read_nemo_config

MIN_ORDER, MAX_ORDER = 2, 10  # NGPU-LM cannot read unigrams alone; scripts/build_kenlm.sh compiles lmplz for up to 10
METADATA_KEY = "text_lm"  # where the metadata stands in the configuration inside the language model's .nemo file


@dataclass
class TextCounts:
    """What became of the lines of the texts: lines = used + empty + left_out."""

    lines: int = 0
    used: int = 0
    empty: int = 0  # nothing left after normalisation
    left_out: int = 0  # holds a character outside the labels, or bytes that are not UTF-8
    reasons: Counter[str] = field(default_factory=Counter)  # lines that hold it, by character (or "not UTF-8")


@dataclass(frozen=True)
class NgramLMMetadata:
    """What a language model was made for and from; written into its file."""

    order: int
    labels_hash: str
    normalizer_fingerprint: str
    prune: tuple[int, ...] = ()
    lines: int = 0
    lines_used: int = 0
    lines_left_out: int = 0


@dataclass(frozen=True)
class NgramLMReport:
    """How training a language model went."""

    output: Path
    ngrams: dict[int, int]  # number of n-grams by order
    counts: TextCounts
    seconds: float
    size_bytes: int


def train_ngram_lm(
    texts: Sequence[Path],
    labels: Sequence[str],
    output: Path,
    order: int = 6,
    prune: Sequence[int] = (),
    memory: str = "1G",
    numbers: str = "reject",
) -> NgramLMReport:
    """Estimate a character n-gram language model and write it as a `.nemo` file.

    Args:
        texts: UTF-8 text files, one sentence a line, plain or gzip (`.gz`). They are streamed: memory stays bounded.
        labels: The acoustic model's labels, in order, without the blank.
        output: The `.nemo` file to write; it appears complete or not at all.
        order: Longest n-gram, 2 … 10.
        prune: For each order, drop n-grams seen that often or less (`0 0 1`: trigrams and longer seen once); the last
            value holds for the remaining orders. Empty: keep all.
        memory: What `lmplz` may use for sorting before it goes to disk, as it writes it (`500M`, `1G`, `50%`).
        numbers: `reject` lines with numbers, or `verbalize` them, see `data_prep.text.normalize`.

    Returns:
        Counts of lines and n-grams, time and size.

    Raises:
        FileNotFoundError: A text or `lmplz` is missing.
        ValueError: Order, pruning or labels cannot be; a text cannot be read; no usable line; or `lmplz` failed.
    """
    started = time.monotonic()
    _check_arguments(texts, labels, output, order, prune)
    check_policies(numbers, latin="reject")
    lmplz = find_lmplz()
    output.parent.mkdir(parents=True, exist_ok=True)
    counts = TextCounts()
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        arpa = Path(folder) / "lm.arpa"
        command = [
            lmplz,
            "-o",
            str(order),
            "--discount_fallback",
            "-S",
            memory,
            "-T",
            folder + "/",
            "--arpa",
            str(arpa),
        ]
        if prune:
            command += ["--prune", *map(str, prune)]
        _run_lmplz(command, _token_lines(texts, labels, counts, numbers), Path(folder) / "lmplz.log")
        if not counts.used:
            raise ValueError(f"no usable line in {_names(texts)}: {describe_counts(counts)}")
        ngrams = _read_ngram_counts(arpa)
        if not ngrams.get(order):
            raise ValueError(
                f"{_names(texts)}: {counts.used} usable lines hold no {order}-gram"
                f"{' after pruning' if prune else ''}; use a lower order, less pruning or more text"
            )
        metadata = NgramLMMetadata(
            order=order,
            labels_hash=hash_labels(labels),
            normalizer_fingerprint=NORMALIZER_FINGERPRINT,
            prune=tuple(prune),
            lines=counts.lines,
            lines_used=counts.used,
            lines_left_out=counts.left_out,
        )
        _convert_arpa(arpa, len(labels), metadata, Path(folder) / "lm.nemo").replace(output)
    return NgramLMReport(output, ngrams, counts, time.monotonic() - started, output.stat().st_size)


def describe_counts(counts: TextCounts, most: int = 8) -> str:
    """Say in one line how many lines were used and why the others were not."""
    text = f"{counts.lines} lines = {counts.used} used + {counts.empty} empty + {counts.left_out} left out"
    if counts.reasons:
        common = counts.reasons.most_common(most)
        rest = len(counts.reasons) - len(common)
        text += ", lines by cause: " + "; ".join(f"{reason} {count}" for reason, count in common)
        text += f"; {rest} more causes" if rest else ""
    return text


def find_lmplz() -> str:
    """Return the path of KenLM's `lmplz`: beside this interpreter first, then on PATH.

    Raises:
        FileNotFoundError: It is in neither place.
    """
    own = Path(sys.prefix) / "bin" / "lmplz"
    found = str(own) if os.access(own, os.X_OK) else shutil.which("lmplz")
    if not found:
        raise FileNotFoundError(
            f"lmplz not found at {own} or on PATH; build it with: make setup (or scripts/build_kenlm.sh)"
        )
    return found


def encode_tokens(text: str, labels: Sequence[str]) -> str:
    """Write a text the way the language model reads it: each character as `chr(index + 100)`, separated by spaces.

    Args:
        text: Characters that are all among `labels`.
        labels: The acoustic model's labels, in order.
    """
    return " ".join(text.translate(_token_table(labels)))


def hash_labels(labels: Sequence[str]) -> str:
    """Return 16 hexadecimal digits that differ when any label or their order does."""
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]


def read_metadata(lm_path: Path) -> NgramLMMetadata | None:
    """Read what a language model was made for; `None` for one that another tool wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not an n-gram language model in a `.nemo` file.
    """
    config = read_nemo_config(lm_path)
    if not {"num_states", "num_arcs", "max_order"} <= config.keys():
        raise ValueError(
            f"{lm_path}: a .nemo file, but no n-gram language model; make one with scripts/train_ngram_lm.py"
        )
    metadata = config.get(METADATA_KEY)
    return NgramLMMetadata(**{**metadata, "prune": tuple(metadata["prune"])}) if metadata else None


def check_lm_matches(lm_path: Path, labels: Sequence[str], normalizer_fingerprint: str) -> None:
    """Refuse a language model that was made for other labels or from text of another normaliser.

    A language model of another tool carries neither; only the number of its labels can be compared then.

    Args:
        lm_path: The language model's `.nemo` file.
        labels: The acoustic model's labels, in order, without the blank.
        normalizer_fingerprint: Of the normaliser that the acoustic model's transcripts went through.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no language model or does not fit; the message holds both sides.
    """
    remedy = "make one for this model: python scripts/train_ngram_lm.py text=… model_path=… output=…"
    size = read_nemo_config(lm_path).get("vocab_size")
    metadata = read_metadata(lm_path)
    if size != len(labels):
        raise ValueError(f"{lm_path}: language model over {size} labels, but the model has {len(labels)}; {remedy}")
    if metadata and metadata.labels_hash != hash_labels(labels):
        raise ValueError(
            f"{lm_path}: language model of other labels or another order of them (hash {metadata.labels_hash}, "
            f"the model's {hash_labels(labels)}); {remedy}"
        )
    if metadata and metadata.normalizer_fingerprint != normalizer_fingerprint:
        raise ValueError(
            f"{lm_path}: text normalised by {metadata.normalizer_fingerprint}, but the model's transcripts by "
            f"{normalizer_fingerprint}; {remedy}"
        )


def _check_arguments(
    texts: Sequence[Path], labels: Sequence[str], output: Path, order: int, prune: Sequence[int]
) -> None:
    if not texts:
        raise ValueError("no text given")
    missing = [str(path) for path in texts if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"no such text: {', '.join(missing)}")
    if output.suffix != ".nemo":
        raise ValueError(f"output {output}: expected a name that ends in .nemo")
    if not isinstance(order, int) or not MIN_ORDER <= order <= MAX_ORDER:
        raise ValueError(f"order is {order}, expected a whole number, {MIN_ORDER} … {MAX_ORDER}")
    are_counts = all(isinstance(threshold, int) and threshold >= 0 for threshold in prune)
    if not are_counts or list(prune) != sorted(prune) or len(prune) > order:
        raise ValueError(f"prune is {list(prune)}, expected at most {order} counts that never fall, such as [0,0,1]")
    if any(len(label) != 1 for label in labels) or len(set(labels)) != len(labels):
        raise ValueError(f"labels are not single characters, each once (a subword model?): {list(labels)[:10]} …")


def _token_table(labels: Sequence[str]) -> dict[int, str]:
    return {ord(label): chr(index + DEFAULT_TOKEN_OFFSET) for index, label in enumerate(labels)}


def _token_lines(texts: Sequence[Path], labels: Sequence[str], counts: TextCounts, numbers: str) -> Iterator[bytes]:
    table, alphabet = _token_table(labels), frozenset(labels)
    for path in texts:
        for raw in _read_lines(path):
            counts.lines += 1
            try:
                line = normalize(raw.decode("utf-8"), numbers).text
            except UnicodeDecodeError:
                counts.left_out += 1
                counts.reasons["not UTF-8"] += 1
                continue
            if not line:
                counts.empty += 1
            elif alphabet.issuperset(line):
                counts.used += 1
                yield (" ".join(line.translate(table)) + "\n").encode()
            else:
                counts.left_out += 1
                counts.reasons.update(find_outside_alphabet(line, alphabet))


def _read_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw, tqdm(desc=path.name, total=path.stat().st_size, unit="B", unit_scale=True) as bar:
        stream: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            for line in stream:
                bar.update(raw.tell() - bar.n)
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: not a complete gzip file ({error})") from error


def _run_lmplz(command: list[str], lines: Iterable[bytes], log_path: Path) -> None:
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        assert process.stdin is not None
        try:
            process.stdin.writelines(lines)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early; its exit status and log say why
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
    if status:
        said = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ValueError(f"lmplz failed with status {status}: {' '.join(said[-2:])} (command: {' '.join(command)})")


def _read_ngram_counts(arpa: Path) -> dict[int, int]:
    counts = {}
    with arpa.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("ngram "):
                order, count = line.removeprefix("ngram ").split("=")
                counts[int(order)] = int(count)
            elif counts:
                break
    return counts


def _convert_arpa(arpa: Path, label_count: int, metadata: NgramLMMetadata, output: Path) -> Path:
    model = NGramGPULanguageModel.from_file(arpa, vocab_size=label_count)
    with open_dict(model.cfg):
        model.cfg[METADATA_KEY] = {**asdict(metadata), "prune": list(metadata.prune)}
    model.save_to(str(output))
    return output


def _names(texts: Sequence[Path]) -> str:
    return ", ".join(path.name for path in texts)
