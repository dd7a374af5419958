"""The page over HTTP, and in headless Chromium with a recording as its microphone."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from browser import WAIT_S, needs_browser, open_browser
from data_prep.languages.language import load_language
from fake_recogniser import WORDS, FakeRecogniser, speak
from nemo_models.serving.client_languages import load_languages
from nemo_models.serving.request_guard import read_protocol_key
from nemo_models.serving.web_page import FOLDER, fill_page
from serving_client import client_of, make_served, run_server

PACKAGES = [Path(__file__).parents[3] / name for name in ("nemo_models", "data_prep")]
KEY_CODES = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
FOCUSED = "document.activeElement.id || document.activeElement.className"
LABELLED = "[...document.querySelectorAll('button, input, select')].every(e => e.textContent || e.labels?.length)"


def read_scripts() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js")) if path.name != "texts.js")


def write_talk(folder: Path) -> Path:
    """Write 39 s with pauses: several words where a window has 10 s, as a word of the fake is a window."""
    soundfile.write(folder / "talk.wav", speak("कखगघचछज   " * 13), 16_000)
    return folder / "talk.wav"


def test_the_page_comes_from_this_server_alone(tmp_path):
    with client_of(make_served(tmp_path), keys=["one"]) as client:
        page = client.get("/")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert name == "data:," or client.get(f"/{name}").status_code == 200
        for name in {"capture", *re.findall(r'from "\./(\w+)\.js"', read_scripts())}:
            assert client.get(f"/page/{name}.js").headers["content-type"].startswith("text/javascript"), name
        assert client.get("/page/../metrics").status_code == 401
    assert not [path for path in FOLDER.iterdir() if re.search(r"https?://", path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("code", "direction", "title"), [("hi", "ltr", "hindi_title"), ("ur", "rtl", "title")])
def test_the_page_names_the_language_of_its_texts(tmp_path, code, direction, title):
    with client_of(make_served(tmp_path, languages=(load_language(code),))) as client:
        page = client.get("/").text
    assert page.count(f'lang="{code}" dir="{direction}"') == 2 and f'aria-live="polite" lang="{code}"' in page
    assert f'<h1 data-text="{title}">' in page and "{" not in page
    assert '<div class="choice" hidden>' in page and "<option" not in page


@pytest.mark.parametrize("folds", [{}, {"ur": {}, "hi": {}}], ids=["identified", "named by the reader"])
def test_the_page_offers_the_languages_of_a_model_that_has_several(tmp_path, folds):
    with client_of(make_served(tmp_path, languages=load_languages("ur,hi+en"), folds=folds)) as client:
        page = client.get("/").text
        assert [row["languages"] for row in client.get("/v1/models").json()["data"]] == [["ur", "hi+en"]] * 2
    assert '<div class="choice">' in page and '<h1 data-text="title">' in page and "{" not in page
    assert re.findall(r'<option value="([^"]*)"', page) == [*([] if folds else [""]), "ur", "hi+en"]
    assert 'data-name="Urdu" data-lang="ur" data-dir="rtl">Urdu</option>' in page
    assert 'data-lang="hi" data-dir="ltr">Hindi with English words</option>' in page


def test_both_languages_have_every_text():
    texts = (FOLDER / "texts.js").read_text(encoding="utf-8").split("const HINDI_ERRORS")[0]
    hindi, english = (re.findall(r"(\w+): \"", part) for part in texts.split("  en: {"))
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    filled = "".join(fill_page(page, load_languages(codes)) for codes in ("hi", "ta", "hi,ta"))
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', filled))
    scripts = re.sub(r'\$\("[\w-]+"\)', "", read_scripts())  # what is left in quotes is the name of a text
    for call in re.findall(r"(?:say|showText|showError|setState)\(([^;{}]*)\)", scripts):
        used |= set(re.findall(r'"(\w+)"', call))
    used |= set(re.findall(r'(?:this\.state|reason ===) "?= "(\w+)"', scripts))
    assert hindi == english and "finishing" in used
    assert used <= set(english)


def test_hindi_errors_have_codes_of_the_server():
    part = (FOLDER / "texts.js").read_text(encoding="utf-8").split("const HINDI_ERRORS = {")[1].split("};")[0]
    sources = "".join(path.read_text(encoding="utf-8") for folder in PACKAGES for path in folder.rglob("*.py"))
    codes = re.findall(r"(\w+): \"", part)
    assert len(codes) > 10
    assert [code for code in codes if not re.search(f'"{code.replace("_", "[ _]")}[":]', sources)] == []


def test_a_page_sends_its_key_as_a_subprotocol():
    assert read_protocol_key(["hindi-asr", "key.YSsvPWI"]) == "Bearer a+/=b"
    assert read_protocol_key(["hindi-asr", "key.\u00e9", "other"]) == read_protocol_key([]) == ""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """The page of one browser for all tests: each has a server, and so an origin, to itself."""
    folder = tmp_path_factory.mktemp("browser")
    quiet = np.zeros(24_000, np.float32)
    soundfile.write(folder / "microphone.wav", np.concatenate([speak("घचछ"), quiet]), 16_000, subtype="PCM_16")
    with open_browser(folder, folder / "microphone.wav") as page:
        yield page


@pytest.fixture
def page(browser):
    yield browser
    browser.call("Page.navigate", url="about:blank")  # closes its connections to the server


def text_of(page, name: str) -> str:
    return page.run(f"document.getElementById('{name}').textContent")


def click(page, selector: str) -> None:
    page.run(f"document.querySelector('{selector}').click()")


def focus_after(page, key: str) -> str:
    page.press(key, KEY_CODES[key])
    return page.run(FOCUSED)


def wait_for_file(path: Path) -> str:
    for _ in range(10 * WAIT_S):
        if path.exists():
            return path.read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError(f"never saved: {path.name}")


@pytest.mark.slow
@needs_browser
def test_a_file_and_a_microphone_in_a_browser(page, tmp_path):
    soundfile.write(tmp_path / "talk.wav", speak("कखग"), 16_000)
    with run_server(make_served(tmp_path / "uploads"), keys=["a+/=b"]) as address:
        page.open(f"{address}/")
        assert page.run("document.title") == "Hindi speech recognition"
        page.choose_file("#file", tmp_path / "talk.wav")
        page.wait_for("!document.getElementById('key-form').hidden")
        page.run("document.getElementById('key').value = 'a+/=b'")
        page.run("document.getElementById('key-form').requestSubmit()")
        page.wait_for("document.querySelector('#words .word')")
        assert page.run("document.getElementById('words').innerText.trim()") in WORDS
        click(page, "#words .word")
        page.wait_for("document.querySelector('.word.playing') || document.getElementById('player').ended")

        click(page, "#record")
        page.wait_for("document.getElementById('settled').textContent")
        click(page, "#record")
        page.wait_for("document.getElementById('record').dataset.text === 'start'")

        click(page, "[data-language=hi]")
        assert page.run("document.documentElement.lang + document.title") == "hiहिन्दी वाक् पहचान"
        for name, width, height in (("desk", 1280, 900), ("phone", 360, 740)):
            page.take_picture(tmp_path / f"{name}.png", width, height)
            assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), name
        assert page.run(LABELLED)


@pytest.mark.slow
@needs_browser
def test_status_and_errors_change_with_the_language(page, tmp_path):
    (tmp_path / "broken.wav").write_text("no audio")
    hindi_error = "इस फ़ाइल को ध्वनि के रूप में पढ़ा नहीं जा सका।"
    with run_server(make_served(tmp_path / "uploads")) as address:
        page.open(f"{address}/")
        page.choose_file("#file", write_talk(tmp_path))
        page.wait_for("document.getElementById('status').dataset.text === 'done'")
        assert text_of(page, "status") == "Done" and " seconds" in page.run("document.querySelector('.word').title")
        click(page, "[data-language=hi]")
        assert text_of(page, "status") == "तैयार" and " सेकंड" in page.run("document.querySelector('.word').title")

        page.choose_file("#file", tmp_path / "broken.wav")
        page.wait_for("!document.getElementById('error').hidden")
        assert text_of(page, "error") == hindi_error
        click(page, "[data-language=en]")
        assert text_of(page, "error").startswith("unreadable_audio: broken.wav")
        assert text_of(page, "status") == ""
        click(page, "[data-language=hi]")
        assert text_of(page, "error") == hindi_error

        page.open(f"{address}/")
        assert page.run("document.documentElement.lang") == "hi"  # it was remembered


@pytest.mark.slow
@needs_browser
def test_the_words_are_one_stop_of_the_tab_key(page, tmp_path):
    recogniser = FakeRecogniser(window_s=10.0)
    recogniser.confidences = dict.fromkeys(WORDS, 0.5)
    with run_server(make_served(tmp_path / "uploads", recogniser)) as address:
        page.open(f"{address}/")
        page.choose_file("#file", write_talk(tmp_path))
        page.wait_for("document.querySelector('.word[tabindex=\"0\"]')")
        count = page.run("document.querySelectorAll('.word.uncertain').length")
        assert count > 2 and page.run("document.querySelectorAll('.word[tabindex=\"0\"]').length") == 1

        place = "[...document.querySelectorAll('.word')].indexOf(document.activeElement)"
        page.run("document.querySelector('.word').focus()")
        keys = [
            "ArrowRight",
            "ArrowDown",
            "ArrowLeft",
            "ArrowUp",
            "ArrowLeft",
            "End",
            "ArrowRight",
            "Home",
            "ArrowRight",
        ]
        places = [1, 2, 1, 0, 0, count - 1, count - 1, 0, 1]
        found = []
        for key in keys:
            focus_after(page, key)
            found.append(page.run(place))
        assert found == places
        assert focus_after(page, "Tab") == "" and page.run("document.activeElement.dataset.of") == "file"
        page.run("document.querySelectorAll('.word')[1].focus()")
        assert page.run("document.querySelectorAll('.word[tabindex=\"0\"]').length") == 1


@pytest.mark.slow
@needs_browser
def test_what_was_said_plays_and_is_saved_with_subtitles(page, tmp_path):
    with run_server(make_served(tmp_path / "uploads")) as address:
        page.open(f"{address}/")
        page.download_to(tmp_path)
        assert page.run("document.querySelector('[data-of=live][data-save=srt]').disabled")
        for _ in range(2):  # times go on in a second recording
            known = page.run("document.querySelectorAll('#settled p').length")
            click(page, "#record")
            page.wait_for(f"document.querySelectorAll('#settled p').length > {known}")
            click(page, "#record")
            page.wait_for("document.getElementById('record').dataset.text === 'start'")
        click(page, "#settled .word")
        page.wait_for("document.querySelector('#settled .word.playing')")

        words = json.loads(
            page.run("JSON.stringify([...document.querySelectorAll('#settled .word')].map(e => e.textContent))")
        )
        starts, ends = (
            page.run(f"[...document.querySelectorAll('#settled .word')].map(e => Number(e.dataset.{name}))")
            for name in ("start", "end")
        )
        assert len(words) >= 2 and all(end <= start for end, start in zip(ends, starts[1:], strict=False))
        for name in ("txt", "srt", "vtt"):
            click(page, f"[data-of=live][data-save={name}]")
        assert wait_for_file(tmp_path / "speech.txt").split() == words
        for name in ("srt", "vtt"):
            text = wait_for_file(tmp_path / f"speech.{name}")
            assert "-->" in text and all(word in text for word in words)

        page.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as on a page without https
        page.run("document.execCommand = () => { window.copied = document.activeElement.value; return true; }")
        page.run("document.querySelector('[data-of=live][data-copy]').focus()")
        click(page, "[data-of=live][data-copy]")
        page.wait_for("document.querySelector('[data-of=live][data-copy]').dataset.text === 'copied'")
        assert page.run("window.copied").split() == words and page.run("document.activeElement.dataset.of") == "live"

        click(page, "#clear-live")
        assert text_of(page, "settled") == ""
        assert page.run("document.querySelector('[data-of=live][data-save=srt]').disabled")


@pytest.mark.slow
@needs_browser
def test_a_reader_chooses_the_language_that_is_spoken(page, tmp_path):
    names = "[...document.getElementById('spoken').options].map(option => option.textContent)"
    heading = "document.querySelector('label[for=spoken]').textContent"
    line = "[...document.querySelectorAll('#settled p')].map(line => line.lang + ' ' + line.dir)"
    with run_server(make_served(tmp_path / "uploads", languages=load_languages("hi,ur"))) as address:
        page.open(f"{address}/")
        assert (page.run(heading), page.run(names)) == ("Spoken language", ["Identify it", "Hindi", "Urdu"])
        click(page, "[data-language=hi]")
        assert page.run(heading) == "बोली जाने वाली भाषा"
        assert page.run(names) == ["अपने आप पहचानें", "हिन्दी", "उर्दू"]
        assert page.run(LABELLED)

        page.run("document.getElementById('spoken').focus()")
        for _ in range(2):
            focus_after(page, "ArrowDown")  # the keyboard chooses: nothing listens for the mouse
        assert page.run("document.getElementById('spoken').value") == "ur"
        page.choose_file("#file", write_talk(tmp_path))
        page.wait_for("document.getElementById('status').dataset.text === 'done'")
        assert page.run("['words'].map(id => document.getElementById(id)).map(e => e.lang + ' ' + e.dir)") == ["ur rtl"]

        click(page, "#record")
        page.wait_for("document.getElementById('settled').textContent")
        assert page.run("document.getElementById('spoken').disabled")
        click(page, "#record")
        page.wait_for("document.getElementById('record').dataset.text === 'start'")
        assert not page.run("document.getElementById('spoken').disabled")
        assert set(page.run(line)) == {"ur rtl"} and page.run("document.getElementById('announced').lang") == "ur"


@pytest.mark.slow
@needs_browser
def test_cancel_gives_a_file_up(page, tmp_path):
    recogniser = FakeRecogniser()
    served = make_served(tmp_path / "uploads", recogniser)
    with run_server(served) as address:
        page.open(f"{address}/")
        recogniser.gate.clear()
        page.choose_file("#file", write_talk(tmp_path))
        page.wait_for("document.getElementById('status').dataset.text === 'working'")
        assert recogniser.computing.acquire(timeout=WAIT_S)
        click(page, "#cancel")
        page.wait_for("document.getElementById('status').dataset.text === 'canceled'")
        hidden = "['progress-row', 'file-result', 'error'].map(id => document.getElementById(id).hidden)"
        assert page.run(hidden) == [True, True, True] and page.run(FOCUSED) == "file"

        recogniser.gate.set()
        page.choose_file("#file", tmp_path / "talk.wav")
        page.wait_for("document.getElementById('status').dataset.text === 'done'")
        assert set(page.run("document.getElementById('words').innerText").split()) <= set(WORDS)
