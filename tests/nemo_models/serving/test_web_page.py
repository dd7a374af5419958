"""The page in headless Chromium, with a recording as its microphone."""

import re

import numpy as np
import pytest
import soundfile

from browser import needs_browser, open_browser
from fake_recogniser import WORDS, speak
from nemo_models.serving.request_guard import read_protocol_key
from nemo_models.serving.web_page import FOLDER
from serving_client import client_of, make_served, run_server


def test_the_page_comes_from_this_server_alone(tmp_path):
    with client_of(make_served(tmp_path), keys=["one"]) as client:
        page = client.get("/")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert name == "data:," or client.get(f"/{name}").status_code == 200
        assert client.get("/page/capture.js").headers["content-type"].startswith("text/javascript")
        assert client.get("/page/../metrics").status_code == 401
    assert not [path for path in FOLDER.iterdir() if re.search(r"https?://", path.read_text(encoding="utf-8"))]


def test_both_languages_have_every_text():
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    hindi, english = (re.findall(r"(\w+): \"", part) for part in script.split("const UNCERTAIN")[0].split("  en: {"))
    used = set(re.findall(r'data-text="(\w+)"', (FOLDER / "index.html").read_text(encoding="utf-8")))
    used |= set(re.findall(r'(?:say|showStatus)\("(\w+)"\)', script))
    assert hindi == english and used <= set(english)


def test_a_page_sends_its_key_as_a_subprotocol():
    assert read_protocol_key(["hindi-asr", "key.YSsvPWI"]) == "Bearer a+/=b"
    assert read_protocol_key(["hindi-asr", "key.\u00e9", "other"]) == read_protocol_key([]) == ""


@pytest.mark.slow
@needs_browser
def test_a_file_and_a_microphone_in_a_browser(tmp_path):
    quiet = np.zeros(24_000, np.float32)
    soundfile.write(tmp_path / "microphone.wav", np.concatenate([speak("घचछ"), quiet]), 16_000, subtype="PCM_16")
    soundfile.write(tmp_path / "talk.wav", speak("कखग"), 16_000)
    (tmp_path / "broken.wav").write_text("no audio")
    (tmp_path / "browser").mkdir()
    with (
        run_server(make_served(tmp_path / "uploads"), keys=["a+/=b"]) as address,
        open_browser(tmp_path / "browser", tmp_path / "microphone.wav") as page,
    ):
        page.open(f"{address}/")
        assert page.run("document.title") == "Hindi speech recognition"
        page.choose_file("#file", tmp_path / "talk.wav")
        page.wait_for("!document.getElementById('key-form').hidden")
        page.run("document.getElementById('key').value = 'a+/=b'")
        page.run("document.getElementById('key-form').requestSubmit()")
        page.wait_for("!document.getElementById('file-result').hidden")
        assert page.run("document.getElementById('words').innerText.trim()") in WORDS
        page.run("document.querySelector('.word').click()")
        page.wait_for("document.querySelector('.word.playing') || document.getElementById('player').ended")

        page.run("document.getElementById('record').click()")
        page.wait_for("document.getElementById('settled').textContent.length > 0")
        page.run("document.getElementById('record').click()")
        page.wait_for("document.getElementById('record').getAttribute('aria-pressed') === 'false'")

        page.run("document.querySelector('[data-language=hi]').click()")
        assert page.run("document.documentElement.lang + document.title") == "hiहिन्दी वाक् पहचान"
        assert page.run("document.getElementById('status').textContent") == "तैयार"
        for name, width, height in (("desk", 1280, 900), ("phone", 360, 740)):
            page.take_picture(tmp_path / f"{name}.png", width, height)
            assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), name
        page.choose_file("#file", tmp_path / "broken.wav")
        error = page.wait_for("document.getElementById('error').textContent")
        assert error.startswith("unreadable_audio: broken.wav")
        unnamed = (
            "[...document.querySelectorAll('button, input')].filter(e => !(e.textContent || e.labels?.length)).length"
        )
        assert page.run(unnamed) == 0
