"""The page: one file, no network, safe against texts of the data, and alive in a browser where one is installed."""

import json
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from browser import CHROMIUM, needs_browser
from nemo_models.evaluation.evaluation import evaluate
from nemo_models.evaluation.html_report import _embed, write_html_report
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions
from odd_audio import encode


def make_evaluation(folder, count=12, hypothesis="यह जमीन <b>है</b> </script>"):
    sound = np.random.default_rng(0).normal(scale=0.1, size=16000)
    for name, text in (("one", "यह ज़मीन है"), ("two", hypothesis)):
        rows = []
        for number in range(count):
            soundfile.write(folder / f"clip {number % 12}.wav", sound, 16000)
            words = [{"word": word, "start": 0.2 * at, "end": 0.2 * at + 0.1} for at, word in enumerate(text.split())]
            rows.append(
                {
                    "audio_filepath": f"clip {number % 12}.wav",
                    "offset": 0.01 * (number // 12),
                    "duration": 0.9,
                    "text": "यह ज़मीन है",
                    "pred_text": text,
                    "words": words,
                }
            )
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    test_set = load_test_set([folder / "one.jsonl", folder / "two.jsonl"])
    return evaluate(test_set, EvaluationOptions(replicates=100, read_audio=False))


def read_data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_one_file_without_network_and_safe_against_its_data(tmp_path):
    path = tmp_path / "report" / "report.html"
    write_html_report(make_evaluation(tmp_path), path, title="A <title>", embedded=2)
    page = path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert "A &lt;title&gt;" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert page.count("</script>") == 2
    assert "<b>है" not in page
    data = read_data(page)
    assert data["utterances"][0]["hypotheses"][1] == "यह जमीन <b>है</b> </script>"
    assert sum(one["embedded"] for one in data["utterances"]) == 2
    linked = next(one for one in data["utterances"] if not one["embedded"])
    assert linked["audio"].startswith("../clip%20")
    assert next(one for one in data["utterances"] if one["embedded"])["audio"].startswith("data:audio/ogg;base64,")


def test_audio_of_any_format_is_embedded_but_not_long_audio(tmp_path):
    sound = np.random.default_rng(0).normal(scale=0.1, size=(16000, 1)).astype("float32")
    (tmp_path / "a.m4a").write_bytes(encode(sound, 16000, "ipod", "aac"))
    (tmp_path / "long.m4a").write_bytes(encode(np.tile(sound, (61, 1)), 16000, "ipod", "aac"))
    row = SimpleNamespace(audio="a.m4a", offset_s=0.0, duration_s=None)
    assert str(_embed(row, tmp_path)).startswith("data:audio/ogg;base64,")
    row.audio = "long.m4a"
    assert _embed(row, tmp_path) is None
    row.duration_s = 2.0
    assert _embed(row, tmp_path) is not None


def test_aligned_words_with_their_times(tmp_path):
    write_html_report(make_evaluation(tmp_path, 1, "यह जमीन नहीं है"), tmp_path / "report.html")
    (one,) = read_data((tmp_path / "report.html").read_text(encoding="utf-8"))["utterances"]
    assert one["steps"][1] == ["यह", ["f", "ज़मीन", "जमीन", "spelling: nukta"], ["i", "", "नहीं", ""], "है"]
    assert one["starts"][1] == [0, 20, 40, 60]
    assert (one["raw"], one["errors"]) == ([0, 2], [0, 1])


def test_of_many_utterances_those_with_most_errors_are_listed(tmp_path):
    write_html_report(make_evaluation(tmp_path, 12), tmp_path / "report.html", utterances=5)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(read_data(page)["utterances"]) == 5
    assert "The 5 of 12 with the most errors." in page


@pytest.mark.slow
@needs_browser
def test_the_page_lives_in_a_browser(tmp_path):
    write_html_report(make_evaluation(tmp_path, 600), tmp_path / "report.html")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += "--disable-component-update --disable-sync --virtual-time-budget=5000 --dump-dom"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path}/profile", (tmp_path / "report.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert 'data-ready="' in shown
    assert "600 of 600" in shown
    assert 10 < shown.count('class="row"') < 60, "only the rows in view are in the page"
