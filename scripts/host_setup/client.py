"""Talk to a running ComfyUI over HTTP."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from host_setup.patience import patience
from host_setup.pins import HostError

# The host is on this machine: a proxy of the environment must not be asked for it.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Client:
    """The host's HTTP interface.

    Args:
        url: Address of the host, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def check_alive(self) -> None:
        """Raise HostError when the host is known to be gone; a bare client cannot know."""

    def log_tail(self) -> str:
        """Last lines the host printed, where they can be read."""
        return ""  # a bare client cannot read them

    def request(self, path: str, body: object = None, timeout: float | None = None) -> bytes:
        """GET ``path``, or POST ``body`` as JSON when there is one.

        Raises:
            HostError: The host refused; its answer is in the message.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with OPENER.open(request, timeout=timeout or patience(60.0)) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise HostError(f"{path} was refused with status {error.code}: {text[:3000]}") from error

    def get(self, path: str, timeout: float | None = None) -> Any:
        """Parsed JSON answer of a GET."""
        return json.loads(self.request(path, timeout=timeout))

    def post(self, path: str, body: object) -> Any:
        """Parsed JSON answer of a POST; None when the answer is empty."""
        answer = self.request(path, body)
        return json.loads(answer) if answer.strip() else None

    def object_info(self, node_id: str = "") -> dict[str, Any]:
        """Schemas of all nodes, or of one."""
        return self.get(f"/object_info/{urllib.parse.quote(node_id)}" if node_id else "/object_info")

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt in API form and return its id; raises HostError when it does not validate."""
        return self.post("/prompt", {"prompt": prompt, "client_id": "fewshot"})["prompt_id"]

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """What the host kept of a finished prompt, or None while it has not finished."""
        return self.get(f"/history/{prompt_id}").get(prompt_id)

    def interrupt(self) -> None:
        """Stop the running prompt, as the host's own button does."""
        self.post("/interrupt", {})

    def view(self, filename: str, subfolder: str = "", kind: str = "output") -> bytes:
        """Content of a file the host made."""
        query = urllib.parse.urlencode({"filename": filename, "subfolder": subfolder, "type": kind})
        return self.request(f"/view?{query}")

    def wait(
        self,
        prompt_id: str,
        timeout: float | None = None,
        poll: float = 0.5,
        tick: Callable[[float], None] | None = None,
    ) -> dict[str, Any]:
        """Wait for a prompt and return its history entry.

        Args:
            prompt_id: From ``queue``.
            timeout: Seconds; None waits as long as the host lives.
            poll: Seconds between two looks, at most; the first ones follow each other sooner.
            tick: Called with the seconds waited after every look.

        Raises:
            HostError: The prompt failed or was stopped, the host ended, or the time is over.
        """
        started = time.monotonic()
        while True:
            self.check_alive()
            try:
                entry = self.history(prompt_id)
            except OSError:  # busy for a while is not dead
                entry = None
            waited = time.monotonic() - started
            if entry is not None:
                if entry["status"]["status_str"] != "success":
                    raise HostError(explain_failure(entry))
                return entry
            if timeout is not None and waited > timeout:
                raise HostError(f"the prompt has not finished after {waited:.0f} s:\n{self.log_tail()}")
            if tick:
                tick(waited)
            time.sleep(min(poll, 0.02 + waited / 4))


def explain_failure(entry: dict[str, Any]) -> str:
    """One sentence about a failed prompt: the node and what it said."""
    for kind, details in entry["status"].get("messages", []):
        if kind == "execution_error":
            trace = "".join(details.get("traceback", []))
            node = f"{details.get('node_type')} (node {details.get('node_id')})"
            return f"{node} failed: {details.get('exception_message')}\n{trace}"
        if kind == "execution_interrupted":
            return f"the prompt was stopped in {details.get('node_type')} (node {details.get('node_id')})"
    return f"the prompt failed: {entry['status']}"
