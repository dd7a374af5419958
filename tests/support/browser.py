"""Headless Chromium, driven over its own protocol; a recording is its microphone."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_S = 30
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="found no Chromium: run scripts/install_system_packages.sh tests, as root"
)


class Page:
    """The one page of a browser."""

    def __init__(self, connection):
        self._connection, self._numbers = connection, itertools.count(1)

    def call(self, method: str, **parameters):
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (row := json.loads(self._connection.recv(WAIT_S))).get("id") != number:
            pass
        assert "error" not in row, row
        return row["result"]

    def run(self, script: str):
        """The value of a JavaScript expression."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script: str):
        """The value of an expression as soon as it is true, as JavaScript sees it; a node of the page gives `True`."""
        for _ in range(10 * WAIT_S):
            if value := self.run(f"(found => found instanceof Node || found)({script})"):
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}; error shown: {self.run('document.body.innerText')}")

    def open(self, address: str):
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && document.title !== ''")

    def press(self, key: str, code: int):
        """Press and release a key: its name, and its virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def download_to(self, folder: Path):
        """Save what the page gives into a folder."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def choose_file(self, selector: str, path: Path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def take_picture(self, path: Path, width: int, height: int):
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def open_browser(folder: Path, microphone: Path):
    """Start Chromium with a microphone that plays a WAV file again and again; give its page."""
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", f"--user-data-dir={folder}"),
        *("--remote-debugging-port=0", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        *(f"--use-file-for-fake-audio-capture={microphone}", "--lang=en", "about:blank"),
    ]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file = folder / "DevToolsActivePort"
        for _ in range(10 * WAIT_S):
            if port_file.exists() and len(port_file.read_text().split()) == 2:
                break
            assert browser.poll() is None, "the browser ended"
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        pages = json.loads(urlopen(f"http://127.0.0.1:{port}/json").read())
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        with connect(address, max_size=None) as connection:
            page = Page(connection)
            page.call("Page.enable")
            yield page
    finally:
        browser.terminate()
        browser.wait(WAIT_S)
