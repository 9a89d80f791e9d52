"""A real Chromium for tests of pages, driven over its DevTools pipe: no package, no port, no download."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ENOUGH_S: Final = 60.0  # for one answer, on a machine that does much else
Json = Any


def find_chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page. Messages go over file descriptors 3 and 4, each ended by a zero byte."""

    def __init__(self, binary: str, home: Path) -> None:
        to_read, self._send = os.pipe()
        self._receive, to_write = os.pipe()
        argv = [binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        argv += ["--remote-debugging-pipe", f"--user-data-dir={home}", "--no-first-run", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *argv],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.events: list[Json] = []
        self._rest, self._number, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait(ENOUGH_S)
        os.close(self._send)
        os.close(self._receive)

    def call(self, method: str, **params: Json) -> Json:
        """Call one DevTools method and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> Json:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], ENOUGH_S)
            piece = os.read(self._receive, 1 << 20) if ready else b""
            assert piece, "Chromium has gone" if ready else f"Chromium said nothing for {ENOUGH_S:g} s"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a file, and wait until it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=page.as_uri() + (f"#{fragment}" if fragment else ""))
        self.await_true("document.readyState == 'complete' && location.href != 'about:blank'")

    def await_true(self, script: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + ENOUGH_S
        while not self.run(script):
            assert time.monotonic() < until, f"{script} did not become true in {ENOUGH_S:g} s"

    def run(self, script: str) -> Json:
        """Evaluate an expression, await its promise, and return its value as JSON."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        """Set the size of the window in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def press(self, key: str) -> None:
        """Press a key on whatever has the focus."""
        code = {"Enter": 13, "Escape": 27}.get(key, 0)
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    @property
    def complaints(self) -> list[str]:
        """What the page wrote to the console, and what it threw."""
        own = [
            e
            for e in self.events
            if e.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        ]
        return [json.dumps(e["params"])[:400] for e in own]
