"""Debian's chromium without a window, steered over a pipe with the DevTools protocol, for tests of pages."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
SECONDS = 60.0  # above what a page may take on a loaded machine
TROUBLE = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")


class Browser:
    """One page. ``troubles`` are the errors and warnings of its console, refusals of its policy among them."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._rest, self._count, self._session = to, back, b"", 0, ""
        self.troubles: list[str] = []
        self._events: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self._count:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], SECONDS)
            more = os.read(self._back, 1 << 20) if ready else b""
            if not more:
                raise EOFError("chromium has ended" if ready else f"chromium has said nothing for {SECONDS:g} s")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        self._events.append(found.get("method", ""))
        if found.get("method") in TROUBLE:
            self.troubles.append(json.dumps(found["params"])[:900])
        return found

    def open(self, path: Path) -> float:
        """Open a file, wait until it is loaded; the seconds that took."""
        self._events.clear()
        began = time.monotonic()
        self.send("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive()
        return time.monotonic() - began

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        until = time.monotonic() + SECONDS
        while not self.run(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def size(self, width: int, height: int) -> None:
        """The size of the window in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """A preference for ``light`` or ``dark``."""
        self.send("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str) -> None:
        """Press and release a key, by its name."""
        codes = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowDown": 40}
        text = {"text": "\r"} if key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=codes[key], **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=codes[key])

    def point(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the window, or of the ``whole`` page, as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(b64decode(found["data"]))

    def paper(self) -> bytes:
        """The page in print, as PDF."""
        found = self.send("Page.printToPDF", printBackground=False)
        return b64decode(found["data"])


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with one empty page, which ends with the block."""
    (theirs, to), (back, ours) = os.pipe(), os.pipe()
    shell = f'exec "{PROGRAM}" {" ".join(FLAGS)} --user-data-dir="$0" about:blank 3<&{theirs} 4>&{ours}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        nothing = subprocess.DEVNULL
        command = ["bash", "-c", shell, folder]
        process = subprocess.Popen(command, pass_fds=(theirs, ours), stdout=nothing, stderr=nothing)
        for each in (theirs, ours):
            os.close(each)
        try:
            yield Browser(to, back)
        finally:
            process.kill()
            process.wait()
            for each in (to, back):
                os.close(each)
