"""Time and memory of scoring 1, 100 and 1,000 hours of transcripts, beside jiwer and sclite.

Transcripts are made from lines of a text: references of 15 words, hypotheses with a fifth of the words wrong. A
thousand hours are nine million words. Each tool runs in a separate process; CPU seconds are counted, so that other load
does not matter much.

    python scripts/benchmarks/evaluate.py text.txt 1 100 1000
"""

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS_PER_HOUR = 9000
WORDS_PER_UTTERANCE = 15

READ = """
import json, resource, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
references, hypotheses = [row["text"] for row in rows], [row["pred_text"] for row in rows]
before = resource.getrusage(resource.RUSAGE_SELF)
"""
REPORT = """
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "errors": int(errors)}))
"""
JIWER = """
import jiwer
out = jiwer.process_words(references, hypotheses)
errors = out.substitutions + out.deletions + out.insertions
"""
RAW = """
from nemo_models.evaluation.alignment import align
from nemo_models.evaluation.text_pairs import cut_pairs
from nemo_models.evaluation.words import WordVocabulary
vocabulary = WordVocabulary()
_, left, right = cut_pairs(vocabulary.read(references), vocabulary.read(hypotheses))
errors = align(left, right).totals.sum()
"""
ALL = """
from pathlib import Path
from nemo_models.evaluation.evaluation import evaluate
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions
result = evaluate(load_test_set([Path(sys.argv[1])]), EvaluationOptions(read_audio=False))
errors = result.scores[0].layers[0].errors.sum()
"""


def make_transcripts(text: Path, hours: int, path: Path) -> None:
    """Write rows with references and hypotheses."""
    chosen = random.Random(0)
    words = text.read_text(encoding="utf-8").split()
    with path.open("w", encoding="utf-8") as out:
        for number in range(hours * WORDS_PER_HOUR // WORDS_PER_UTTERANCE):
            start = chosen.randrange(len(words) - WORDS_PER_UTTERANCE)
            reference = words[start : start + WORDS_PER_UTTERANCE]
            hypothesis = []
            for word in reference:
                kind = chosen.random()
                hypothesis += [] if kind < 0.04 else [chosen.choice(words)] if kind < 0.16 else [word]
                hypothesis += [chosen.choice(words)] if kind > 0.96 else []
            row = {
                "audio_filepath": f"{number}.wav",
                "duration": 6.0,
                "speaker": f"s{number % 500}",
                "text": " ".join(reference),
                "pred_text": " ".join(hypothesis),
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def run_python(code: str, rows: Path) -> dict:
    """Run a piece of scoring in a process, and return its CPU seconds and the errors that it counts."""
    done = subprocess.Popen([sys.executable, "-c", READ + code + REPORT, str(rows)], stdout=subprocess.PIPE, text=True)
    printed, _ = done.communicate()
    return json.loads(printed) if done.returncode == 0 else {"failed": done.returncode}


def run_sclite(rows: Path, folder: Path) -> dict:
    """Score with sclite, and return its CPU seconds."""
    with rows.open(encoding="utf-8") as lines, (folder / "r.trn").open("w") as ref, (folder / "h.trn").open("w") as hyp:
        for number, line in enumerate(lines):
            row = json.loads(line)
            ref.write(f"{row['text']} (s{number % 500}-{number})\n")
            hyp.write(f"{row['pred_text']} (s{number % 500}-{number})\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        "sctk",
        "sclite",
        "-s",
        "-i",
        "spu_id",
        "-r",
        "r.trn",
        "trn",
        "-h",
        "h.trn",
        "trn",
        "-o",
        "rsum",
        "stdout",
    ]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=500)
    except subprocess.TimeoutExpired:
        return {"failed": "more than 500 s"}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime} | (
        {"failed": done.returncode} if done.returncode else {}
    )


def main() -> None:
    """Measure every size and print a row for each tool."""
    text, sizes = Path(sys.argv[1]), [int(hours) for hours in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.jsonl"
        for hours in sizes:
            make_transcripts(text, hours, rows)
            for name, code in (("jiwer", JIWER), ("raw layer", RAW), ("all layers, intervals, analysis", ALL)):
                start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                found = run_python(code, rows)
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                memory = f"at most {peak >> 10} MiB" if peak == start else f"{peak >> 10} MiB"
                print(f"{hours} h: {name}: {found}, {memory}", flush=True)
            if shutil.which("sctk"):
                print(f"{hours} h: sclite: {run_sclite(rows, Path(scratch))}", flush=True)


if __name__ == "__main__":
    main()
