"""The report as a reader meets it: in a real browser, and complete without a network."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from browser import CHROMIUM, needs_browser
from data_prep.prepare.html_report import MAX_AUDIO_BYTES
from data_prep.prepare.report import BIN_WIDTHS
from preparing import prepare_corpus

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SENTENCE = "आज सुबह बाग में कमल का फूल खिला"


class Page(HTMLParser):
    """Tags and attributes in order, and whether every tag that is opened is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


@pytest.fixture
def prepared(make_corpus, write_audio, tmp_path) -> Path:
    """A corpus with rows of every kind: kept, repeated, unreadable, clipped, silent, with digits, with HTML in it."""
    chance = np.random.default_rng(0)
    rows = [
        (f"{number}.wav", f"s{number % 7}", SENTENCE if number < 3 else f"कमल {'क' * number}") for number in range(16)
    ]
    for number, (path, *_) in enumerate(rows):
        write_audio(tmp_path / "corpus" / path, seconds=2 + number / 4, pitch=300 + number)
    (tmp_path / "corpus/torn.wav").write_bytes((tmp_path / "corpus/9.wav").read_bytes()[:9000])
    (tmp_path / "corpus/text.wav").write_text("no audio")
    soundfile.write(tmp_path / "corpus/zero.wav", np.zeros(32000, "int16"), 16000)
    loud = (chance.normal(size=32000).cumsum() * 3000).clip(-20000, 20000).astype("int16")
    soundfile.write(tmp_path / "corpus/loud.wav", loud, 16000)
    shutil.copy(tmp_path / "corpus/4.wav", tmp_path / "corpus/copy.wav")
    write_audio(tmp_path / "corpus/digit.wav", seconds=12, pitch=999)
    extra = ["torn", "text", "zero", "loud"]
    rows += [(f"{name}.wav", "s1", "कमल खिला") for name in extra]
    rows += [("copy.wav", "s1", rows[4][2])]
    rows += [("digit.wav", "<b>s1", 'कमल 5 <script>alert("x")</script> & खिला')]
    prepare_corpus("tsv", make_corpus(rows), tmp_path / "out", num_workers=1)
    return tmp_path / "out"


def test_the_page_holds_the_account_and_is_self_contained(prepared):
    text, report = (
        (prepared / "report.html").read_text("utf-8"),
        json.loads((prepared / "report.json").read_text("utf-8")),
    )
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "img", "object")]
    sources = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert sources and all(source.startswith("data:audio/mpeg;base64,") for source in sources)
    assert "url(" not in text and "@import" not in text and "http" not in re.sub(r"data:[^\"]*", "", text)
    assert "&lt;script&gt;alert" in text and "<script" not in text
    reasons = {
        "truncated_audio",
        "unreadable_audio",
        "silent_audio",
        "clipped_audio",
        "duplicate_audio",
        "annotation",
    }
    assert set(report["rejected_by_reason"]) == reasons
    for reason in reasons:
        assert f"{reason} <span" in text
    assert all(sum(chart["counts"]) == report["kept"] for chart in report["histograms"].values())
    assert sum(tag == "rect" for tag, _ in page.tags) == sum(
        len(report["histograms"][name]["counts"]) for name in BIN_WIDTHS
    )


def test_examples_can_be_played_and_are_cut_short(prepared):
    text = (prepared / "report.html").read_text("utf-8")
    sounds = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', text)
    lengths = [soundfile.info(io.BytesIO(base64.b64decode(sound))).duration for sound in sounds]
    assert len(sounds) == 4  # silent, clipped, copied, with digits; what cannot be decoded has none
    assert max(lengths) == pytest.approx(8, abs=0.1) and len(text) < 300_000 < MAX_AUDIO_BYTES
    digit = max(zip(lengths, sounds, strict=True))[1]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(digit)))
    peak = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
    assert peak == pytest.approx(999, abs=1)


def test_leaks_between_splits_are_reported(make_corpus, tmp_path):
    rows = [
        (f"{number}.wav", "आज सुबह बाग में कमल", f"s{number}", split)
        for number, split in enumerate(("train", "dev", "test"))
    ]
    report = prepare_corpus("tsv", make_corpus(rows, "path text speaker split"), tmp_path / "out", num_workers=1)
    pairs = {(leak["evaluation"], leak["training"]): leak["exact"] for leak in report["leaks"]}
    assert pairs == {("dev", "train"): 1, ("test", "train"): 1, ("test", "dev"): 1}
    assert "dev_manifest.json:1 in train_manifest.json:1" in (tmp_path / "out/report.html").read_text("utf-8")
    kept = prepare_corpus("tsv", tmp_path / "corpus", tmp_path / "apart", disjoint_text=True, num_workers=1)
    assert kept["rejected_by_reason"] == {"text_in_evaluation": 2} and not any(leak["leaked"] for leak in kept["leaks"])


def test_a_report_without_a_kept_row_is_a_page(make_corpus, tmp_path):
    prepare_corpus("tsv", make_corpus([("a.wav", "s", "5")]), tmp_path / "out", num_workers=1)
    assert "Nothing was measured" in (tmp_path / "out/report.html").read_text("utf-8")
    assert Page((tmp_path / "out/report.html").read_text("utf-8")).tags


@pytest.mark.slow
@needs_browser
def test_a_browser_shows_it(prepared, tmp_path):
    """Chromium renders the page: the sections are there, every sound was decoded, nothing runs over the edge."""

    def look(page: Path, *what: str) -> str:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [
            CHROMIUM,
            *FLAGS,
            profile,
            "--virtual-time-budget=8000",
            "--window-size=1100,2400",
            *what,
            page.as_uri(),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    probe = """<script>addEventListener("load", async () => {
      const sounds = [...document.querySelectorAll("audio")];
      await Promise.all(sounds.map(s => s.readyState ? 0 : new Promise(done => {
        s.onloadedmetadata = s.onerror = done; s.load(); })));
      document.body.dataset.seconds = sounds.map(s => s.duration.toFixed(1)).join(" ");
      document.body.dataset.wide = document.documentElement.scrollWidth;
      document.body.dataset.heights = [...document.querySelectorAll("section")].map(s => s.offsetHeight).join(" ");
      document.body.dataset.bars = [...document.querySelectorAll("rect")].filter(r => r.getBBox().height > 0).length;
    });</script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text((prepared / "report.html").read_text("utf-8").replace("</body>", probe), encoding="utf-8")
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', look(probed, "--dump-dom").rpartition("<body")[2][:400]))
    assert sorted(map(float, found["seconds"].split()))[-1] == pytest.approx(8, abs=0.2)
    assert len(found["seconds"].split()) == 4 and int(found["wide"]) <= 1100
    assert (
        len(found["heights"].split()) == 10 and min(map(int, found["heights"].split())) > 40 and int(found["bars"]) > 10
    )
    picture = tmp_path / "page.png"
    look(prepared / "report.html", f"--screenshot={picture}")
    PIL = pytest.importorskip("PIL.Image")
    pixels = np.asarray(PIL.open(picture).convert("RGB")).reshape(-1, 3)
    assert len(pixels) == 1100 * 2400
    share = (np.abs(pixels.astype(int) - (0x3D, 0x6B, 0xD6)).max(axis=1) < 12).mean()
    assert share > 0.005  # the bars, in their colour
