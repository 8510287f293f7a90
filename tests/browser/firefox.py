"""An installed Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks by itself.

Playwright drives no Firefox but its own build; this is the little that the tests need.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import websocket
from PIL import Image

NAMES = ("firefox", "firefox-esr")
# A page's own policy, and what it breaks, is told to nobody but the page.
_TELL = """() => document.addEventListener("securitypolicyviolation", (event) =>
    console.error("policy: " + event.violatedDirective + " " + event.blockedURI))"""
_PATIENCE_S = 60


def find() -> str | None:
    return next(filter(None, (shutil.which(name) for name in (os.environ.get("ACTATLAS_FIREFOX", ""), *NAMES))), None)


class Firefox:
    """problems: what pages said of what went wrong"""

    def __init__(self, executable: str, profile: Path):
        self.problems: list[str] = []
        # A window behind others hears of no focus, and a headless one is always behind.
        (profile / "user.js").write_text('user_pref("focusmanager.testmode", true);\n')
        self._log = (profile / "stderr.txt").open("w")
        self._process = subprocess.Popen(
            [executable, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0",
             "--width", "1000", "--height", "800", "about:blank"],
            stderr=self._log,
        )  # fmt: skip
        address = _until(lambda: re.search(r"ws://\S+", (profile / "stderr.txt").read_text()), "Firefox does not start")
        self._socket = websocket.create_connection(f"{address[0]}/session", suppress_origin=True, timeout=_PATIENCE_S)
        self._ids = itertools.count(1)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._ask("script.addPreloadScript", functionDeclaration=_TELL)
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, address: str) -> None:
        """Until its map is drawn."""
        self._ask("browsingContext.navigate", context=self._context, url=address, wait="complete")
        self.until("document.documentElement.dataset.ready !== undefined")

    def run(self, expression: str) -> Any:
        """A script's value: a text, number, truth value or null."""
        answer = self._ask(
            "script.evaluate", expression=expression, target={"context": self._context}, awaitPromise=True
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Until a script's value is true."""
        _until(lambda: self.run(expression), f"never so: {expression}")

    def move(self, x: int, y: int, *then: dict[str, Any]) -> None:
        """The mouse to a place of the page, and what it does there."""
        moved = {"type": "pointerMove", "x": x, "y": y}
        self._act({"type": "pointer", "id": "mouse", "actions": [moved, *then]})

    def click(self, x: int, y: int) -> None:
        self.move(x, y, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def press(self, *keys: str) -> None:
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": strokes})

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 of what the page shows."""
        data = self._ask("browsingContext.captureScreenshot", context=self._context)["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def close(self) -> None:
        self._ask("browser.close")
        self._socket.close()
        self._process.wait(_PATIENCE_S)
        self._log.close()

    def _act(self, source: dict[str, Any]) -> None:
        self._ask("input.performActions", context=self._context, actions=[source])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("method") == "log.entryAdded" and answer["params"]["level"] in ("error", "warn"):
                self.problems.append(answer["params"]["text"])
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]


def _until(look: Callable[[], Any], complaint: str) -> Any:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(complaint)
