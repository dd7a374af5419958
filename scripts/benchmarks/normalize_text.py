"""Lines a second on one core: this normaliser against indic-nlp alone, and with numbers in words.

    python scripts/benchmarks/normalize_text.py TEXT... [--numbers]

All are timed in CPU seconds of this process, in turns, the best of three; lines without digits are counted separately.
With --numbers the lines with digits are converted twice: with loaded grammars and an empty cache, and with a full
cache."""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import DEFAULT_POLICY, judge

DIGIT = re.compile(r"\d")
ROUNDS = 3


def time_lines(function: Callable[[str], object], lines: Sequence[str]) -> float:
    """Return CPU seconds for all lines."""
    started = time.process_time()
    for line in lines:
        function(line)
    return time.process_time() - started


def main() -> None:
    """Read the texts, time, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, nargs="+", help="UTF-8 text, one sentence a line")
    parser.add_argument("--numbers", action="store_true", help="also time saying the numbers")
    arguments = parser.parse_args()
    lines = [line for path in arguments.text for line in path.read_text(encoding="utf-8").split("\n") if line]
    plain = [line for line in lines if not DIGIT.search(line)]
    functions: dict[str, Callable[[str], object]] = {
        "indic-nlp alone": IndicNormalizerFactory().get_normalizer("hi").normalize,
        "normalize_text": normalize_text,
        "with policy and verdict": lambda line: judge(normalize_text(line, DEFAULT_POLICY)),
    }
    seconds = {name: [time_lines(function, plain)] for name, function in functions.items()}
    for _ in range(ROUNDS - 1):
        for name, function in functions.items():
            seconds[name].append(time_lines(function, plain))
    best = {name: min(times) for name, times in seconds.items()}
    print(f"{len(plain)} lines without digits, {sum(map(len, plain)) / len(plain):.0f} characters a line")
    for name, time_s in best.items():
        ratio = best["indic-nlp alone"] / time_s
        print(f"{name:<30} {len(plain) / time_s:>9.0f} lines/s   {ratio:.2f} x indic-nlp's speed")
    if arguments.numbers:
        verbalize = TextPolicy(numbers="verbalize")
        digits = [line for line in lines if DIGIT.search(line)]
        loading = time_lines(lambda line: judge(normalize_text(line, verbalize), policy=verbalize), ["1/2"])
        print(f"{len(digits)} lines with digits; grammars loaded in {loading:.1f} s")
        for name in ("cold", "warm"):
            time_s = time_lines(lambda line: judge(normalize_text(line, verbalize), policy=verbalize), digits)
            print(f"{f'numbers said, {name}':<30} {len(digits) / time_s:>9.0f} lines/s")


if __name__ == "__main__":
    main()
