"""docs/recipes.md: the commands of every recipe, on a miniature of its corpus in the layout that is published."""

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from documents import SHORT_RUN, Block, Workspace, make_workspace, read_blocks, run_block
from layout_files import write_lines
from project import ROOT
from topology import write_fairseq_checkpoint
from warm_python import WarmPython

TEXTS = ("आज मौसम अच्छा है", "मुझे पानी दीजिए", "बच्चे खेल रहे हैं", "कल गाँव जाएँगे", "चाय गरम है", "किताब खोलो")
TITLES = ("FLEURS", "Common Voice", "Kathbath, 10 hours", "Kathbath, 100 hours", "Shrutilipi, 1,000 hours")
FOLDERS = {
    "fleurs": "corpora/fleurs/data/hi_in",
    "common_voice": "corpora/cv-corpus-17.0-2024-03-15/hi",
    "kathbath": "corpora/kathbath/hindi",
    "kathbath_test": "corpora/kathbath_test",
    "shrutilipi": "corpora/shrutilipi/hindi",
    "an4": "corpora/an4",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Workspace:
    """A folder that looks like the project's, with a checkpoint, a text and the corpora as the downloads leave them."""
    folder = tmp_path_factory.mktemp("clone")
    write_fairseq_checkpoint(folder / "xlsr_53")
    write_lines(folder / "hindi_text.txt", *(" ".join(reversed(text.split())) for text in TEXTS * 4), *TEXTS)
    write_fleurs(folder / FOLDERS["fleurs"])
    write_common_voice(folder / FOLDERS["common_voice"])
    write_parquet(folder / FOLDERS["kathbath"], train=range(100, 112), valid=range(120, 124))
    write_kathbath_test(folder / FOLDERS["kathbath_test"])
    write_parquet(folder / FOLDERS["shrutilipi"], train=range(130, 142))
    write_an4(folder / FOLDERS["an4"])
    return make_workspace(folder, warm_python)


def write_noise(path: Path, number: int) -> None:
    """Write 1.5 s and more of noise that no other number gives; a format is chosen by the content, not by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(number).normal(scale=0.1, size=24000 + 320 * number)
    soundfile.write(path, wave, 16000, format={".mp3": "MP3", ".sph": "NIST"}.get(path.suffix, "WAV"))


def write_fleurs(folder: Path) -> None:
    for split, first, count in (("train", 0, 12), ("dev", 20, 4), ("test", 30, 4)):
        rows = []
        for number in range(first, first + count):
            text = TEXTS[number % len(TEXTS)]
            write_noise(folder / f"audio/{split}/{number}.wav", number)
            rows.append("\t".join([str(number), f"{number}.wav", f"{text}।", text, text, "24000", "MALE"]))
        write_lines(folder / f"{split}.tsv", *rows)


def write_common_voice(folder: Path) -> None:
    for split, first, count in (("train", 40, 12), ("dev", 60, 4), ("test", 70, 4)):
        rows = ["client_id\tpath\tsentence"]
        for number in range(first, first + count):
            write_noise(folder / f"clips/common_voice_hi_{number}.mp3", number)
            rows.append(f"client{split}{number % 3}\tcommon_voice_hi_{number}.mp3\t{TEXTS[number % len(TEXTS)]}")
        write_lines(folder / f"{split}.tsv", *rows)


def write_parquet(folder: Path, **splits: range) -> None:
    folder.mkdir(parents=True)
    for split, numbers in splits.items():
        rows = []
        for number in numbers:
            file = folder / "tmp.wav"
            write_noise(file, number)
            audio = {"bytes": file.read_bytes(), "path": f"{split}{number}.wav"}
            rows.append(
                {"audio_filepath": audio, "text": TEXTS[number % len(TEXTS)], "speaker_id": f"{split}{number % 3}"}
            )
            file.unlink()
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=4)


def write_kathbath_test(folder: Path) -> None:
    for split, speaker in (("test_known", "594"), ("test_unknown", "973")):
        place = folder / f"kb_data_clean_m4a/hindi/{split}"
        rows = []
        for number in range(4):
            name = f"8444249315378{number}-{speaker}-f.m4a"
            write_noise(place / "audio" / name, 80 + number + 5 * (split == "test_unknown"))
            rows.append(f"{name}\t{TEXTS[number]}")
        write_lines(place / "transcription_n2w.txt", *rows)


def write_an4(folder: Path) -> None:
    texts = ("RUBOUT C Y R B", "ENTER FIFTY SIX", "ERASE M X A", "STOP NINE TWO")
    for split, part, speakers in (
        ("train", "an4_clstk", ("fash", "mgah", "maa")),
        ("test", "an4test_clstk", ("fcaw",)),
    ):
        lines = []
        for at, speaker in enumerate(speakers):
            for number in range(4):
                name = f"an{250 + number}-{speaker}-b"
                write_noise(
                    folder / f"wav/{part}/{speaker}/{name}.sph", 160 + 10 * at + number + 50 * (split == "test")
                )
                lines.append(f"<s> {texts[number]} </s> ({name})")
        write_lines(folder / f"etc/an4_{split}.transcription", *lines)


def run_blocks(blocks: list[Block], workspace: Workspace) -> None:
    (workspace / "work").mkdir(exist_ok=True)
    for block in blocks:
        if block.runs_here:
            run_block(block, workspace, {"exp_manager.exp_dir=": f"{SHORT_RUN} exp_manager.exp_dir="})


def read_recipe(title: str) -> list[Block]:
    """Return the blocks below one heading."""
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [block for block in read_blocks("docs/recipes.md") if block.text in section]


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def kathbath(workspace: Workspace) -> Workspace:
    """The workspace after the recipe for ten hours, on which those for more hours build."""
    run_blocks(read_recipe("Kathbath, 10 hours"), workspace)
    return workspace


@pytest.mark.slow
@pytest.mark.parametrize(("title", "folder"), [("FLEURS", "fleurs"), ("Common Voice", "cv"), ("AN4", "an4")])
def test_recipe_runs_from_corpus_to_error_rate(title: str, folder: str, workspace: Workspace):
    run_blocks(read_recipe(title), workspace)
    rows = read_rows(workspace / f"work/{folder}/test.jsonl")
    assert len(rows) == 4 and not any("error" in row for row in rows)
    report = json.loads((workspace / f"work/{folder}/lm.nemo.json").read_text(encoding="utf-8"))
    if title == "AN4":
        assert {row["lang"] for row in rows} == {"en"}
        return
    assert "leak" in json.dumps(report)  # the text holds the evaluation sentences; they were dropped and counted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "output"),
    [
        ("Kathbath, 10 hours", "kathbath/test_10h.jsonl"),
        ("Kathbath, 100 hours", "kathbath/test_100h.jsonl"),
        ("Shrutilipi, 1,000 hours", "shrutilipi/test.jsonl"),
    ],
    ids=["10h", "100h", "1000h"],
)
def test_kathbath_recipes_run_in_their_order(title: str, output: str, kathbath: Workspace):
    if "10 hours" not in title:
        run_blocks(read_recipe(title), kathbath)
    rows = read_rows(kathbath / f"work/{output}")
    assert {row["subset"] for row in rows} == {"test_known", "test_unknown"}
    assert len(rows) == 8 and not any("error" in row for row in rows)


def test_recipes_together_hold_every_block():
    titles = [*TITLES, "LibriSpeech", "AN4"]
    assert sum(len(read_recipe(title)) for title in titles) == len(read_blocks("docs/recipes.md"))


def test_estimates_of_time_follow_from_their_arithmetic():
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    rates = {card: 0.4 * peak * 1e12 / 96e9 for card, peak in (("H200", 780), ("A100", 312), ("RTX 4090", 165))}
    hours = [round(20_000 * 1600 / rate / 3600) for rate in rates.values()]
    assert page.count(" / ".join(f"{value} h" for value in hours)) == 4
    long = [320_000 * 1600 / rate / 3600 for rate in rates.values()]
    assert f"{long[0]:.0f} h / {long[1] / 24:.1f} days / {long[2] / 24:.1f} days" in page
