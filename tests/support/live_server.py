"""A real ComfyUI on a free port of this machine, with this pack in it, for the live tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACK = "guided-face-edit"
START_UP = 180  # seconds
RUN = 300  # seconds


def find_comfyui() -> Path | None:
    """COMFYUI_PATH, else comfy-cli's default workspace, else the ComfyUI that this pack lies in."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        return Path(named)
    if ROOT.parent.name == "custom_nodes":
        return ROOT.parents[2]
    return _default_workspace()


def run_in_comfyui(root: Path, script: str, folder: Path) -> str:
    """What a script of `tests/support` prints, run in `folder` by the Python of ComfyUI."""
    comfyui = find_comfyui()
    if comfyui is None:
        pytest.skip("no ComfyUI: name one in COMFYUI_PATH, or put the pack into its custom_nodes")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    command = [python, str(root / "tests" / "support" / script), str(comfyui), str(root)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


def _default_workspace() -> Path | None:
    comfy = shutil.which("comfy")
    if comfy is None:
        return None
    asked = subprocess.run(
        [comfy, "--skip-prompt", "which"],
        env={**os.environ, "DO_NOT_TRACK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    paths = (Path(word) for word in asked.stdout.split() if word.startswith("/"))
    return next((path for path in paths if (path / "main.py").is_file()), None)


class NodeError(RuntimeError):
    """What the server says of a prompt that it refused, or of a node that failed."""


@dataclass
class Server:
    """A running ComfyUI."""

    port: int
    base: Path
    log: Path
    heard: list[dict[str, Any]] = field(default_factory=list)  # messages of the last run

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def said(self) -> str:
        """All that the server has logged."""
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> Any:
        return json.loads(self.file_at(path))

    def post(self, path: str, value: Any) -> Any:
        request = urllib.request.Request(
            self.url(path),
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            raise NodeError(error.read().decode()) from None
        return json.loads(body) if body else None

    def queue(self, graph: Mapping[str, Any], client: str = "") -> str:
        """Queue a graph in API format; -> the prompt's id."""
        return self.post("/prompt", {"prompt": graph, "client_id": client})["prompt_id"]

    def run(self, graph: Mapping[str, Any], interrupt_after: int | None = None) -> dict[str, Any]:
        """Run a graph to its end; -> its outputs, by node. Listens as a browser would.

        `interrupt_after` cancels the run once so many steps were seen.
        """
        client = str(uuid.uuid4())
        self.heard = []
        with self._listening(client) as messages:
            prompt = self.queue(graph, client)
            self._follow(messages, prompt, interrupt_after)
        return self.outputs(prompt)

    def outputs(self, prompt: str) -> dict[str, Any]:
        return self.get(f"/history/{prompt}")[prompt]["outputs"]

    def wait(self, prompt: str) -> dict[str, Any]:
        """Wait for a queued prompt without listening."""
        until = time.monotonic() + RUN
        while prompt not in self.get(f"/history/{prompt}"):
            if time.monotonic() > until:
                raise TimeoutError(f"prompt {prompt} did not end in {RUN} s")
            time.sleep(0.2)
        return self.outputs(prompt)

    @contextmanager
    def _listening(self, client: str) -> Iterator[Iterator[dict[str, Any]]]:
        from websocket import create_connection

        line = create_connection(self.url(f"/ws?clientId={client}", "ws"), timeout=RUN)
        hello = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        line.send(json.dumps(hello))
        try:
            yield self._messages(line)
        finally:
            line.close()

    def _messages(self, line: Any) -> Iterator[dict[str, Any]]:
        while True:
            said = line.recv()
            message = {"type": "preview"} if isinstance(said, bytes) else json.loads(said)
            self.heard.append(message)
            yield message

    def _follow(
        self, messages: Iterator[dict[str, Any]], prompt: str, interrupt_after: int | None
    ) -> None:
        for message in messages:
            kind, data = message["type"], message.get("data", {})
            if kind == "execution_error":
                raise NodeError(data["exception_message"])
            if kind == "execution_interrupted":
                raise NodeError("interrupted")
            if kind == "progress" and data["value"] == interrupt_after:
                self.post("/interrupt", {})
            if kind == "executing" and data["node"] is None and data.get("prompt_id") == prompt:
                return

    def file(self, saved: Mapping[str, str]) -> bytes:
        """A picture that a node saved or previewed."""
        return self.file_at("/view?" + urllib.parse.urlencode(saved))

    def file_at(self, path: str) -> bytes:
        """Whatever the server serves there."""
        with urllib.request.urlopen(self.url(path), timeout=60) as answer:
            return answer.read()


@contextmanager
def running(comfyui: Path, base: Path) -> Iterator[Server]:
    """Start a server, wait until it lists its nodes, and stop it in the end."""
    (base / "custom_nodes").mkdir(parents=True)
    (base / "custom_nodes" / PACK).symlink_to(ROOT)
    port, log = _free_port(), base / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            _command(comfyui, base, port), cwd=comfyui, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            server = Server(port, base, log)
            _await(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _command(comfyui: Path, base: Path, port: int) -> list[str]:
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    options = ["--disable-auto-launch", "--disable-api-nodes", "--disable-all-custom-nodes"]
    return [
        *(python, str(comfyui / "main.py"), "--cpu", "--listen", "127.0.0.1"),
        *("--port", str(port), "--base-directory", str(base)),
        *("--database-url", "sqlite:///:memory:", *options, "--whitelist-custom-nodes", PACK),
    ]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_UP
    while time.monotonic() < until and process.poll() is None:
        try:
            server.get("/object_info/FaceEdit_GuidedFaceSampler")
        except OSError:
            time.sleep(0.5)
            continue
        break
    text = server.said()
    if process.poll() is not None or "IMPORT FAILED" in text or time.monotonic() > until:
        raise RuntimeError(f"ComfyUI did not start with the pack in it:\n{text[-3000:]}")
