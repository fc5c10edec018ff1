"""A headless Chromium driven through its debugging pipe: no package needed beyond the browser itself."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

BINARY = next((path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars --remote-debugging-pipe"
)


class Browser:
    """One page; `at` is which, how wide and whether dark, as it was opened.

    `console` collects errors and warnings of the page: messages, uncaught exceptions, what a policy blocked, failed requests.
    """

    def __enter__(self) -> Browser:
        self.folder = tempfile.mkdtemp(prefix="trivet-browser-")
        # Chromium reads commands from descriptor 3 and writes answers to 4, each ended by a zero byte.
        line = f'exec "{BINARY}" {FLAGS} --user-data-dir="{self.folder}" about:blank 3<&0 4>&1 >/dev/null 2>&1'
        self.process = subprocess.Popen(["sh", "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buffer, self.number, self.session = b"", 0, None
        self.console: list[str] = []
        self.requests: list[str] = []
        self.at: tuple[Path, int, bool] | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method: str, **params: object) -> dict:
        """One command and its answer; events that come between are taken in."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": self.session} if self.session else {})
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        self.process.stdin.flush()
        while (answer := self._read()).get("id") != self.number:
            self._event(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self) -> dict:
        while b"\0" not in self.buffer:
            part = self.process.stdout.read1(1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(line)

    def _event(self, event: dict) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(" ".join(str(part.get("value", part.get("description"))) for part in params["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(f"{details['text']} {details.get('exception', {}).get('description', '')}")
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(params["entry"]["text"])
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def evaluate(self, expression: str) -> object:
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def open(self, page: Path, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a page at this width and wait until its charts are drawn (the page says so in `data-ready`)."""
        self.console.clear()
        self.requests.clear()
        self.resize(width, height)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.send("Page.navigate", url=page.resolve().as_uri())
        ready = "document.body && document.body.dataset.ready === 'yes' && document.readyState === 'complete'"
        self.at = (page, width, dark)
        self.evaluate(f"new Promise((done) => {{ const look = () => ({ready}) ? done(true) : setTimeout(look, 50); look(); }})")

    def resize(self, width: int, height: int = 900) -> None:
        """The window at this width, the page in it as it is."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def shoot(self, path: Path, top: int = 0, height: int | None = None) -> None:
        """A picture of the page from `top` on, `height` pixels high (None: to its end)."""
        size = self.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": top, "width": size[0], "height": min(height or size[1], size[1] - top), "scale": 1}
        shot = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
