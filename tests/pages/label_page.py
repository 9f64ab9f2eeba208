"""A real `vta label` in a process of its own, and plain requests to it."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

START_S = 60


class Page:
    """A running `vta label`, and plain requests to it."""

    def __init__(self, root, *args):
        self.root, self.args = root, args
        self.begin()

    def begin(self, *more):
        """Start the process; after it ended this starts another on the same folder."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vta_cli", "label", "pics", "--no-open", "--every", "0",
             *self.args, *more],
            cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        if "token=" not in line:
            self.process.wait(START_S)
            raise AssertionError(line + self.process.stderr.read())
        self.url = line.split()[-1]
        parts = urlsplit(self.url)
        self.port, self.token = parts.port, re.search(r"token=([^#]+)", self.url)[1]
        self.cookie = f"vta_{self.port}={self.token}"

    def ask(self, method, path, body=None, *, cookie=None, host=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Host": host or f"127.0.0.1:{self.port}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        silent = "Origin" in headers and headers["Origin"] is None
        if cookie is not False:
            given["Cookie"] = cookie or self.cookie
        if method == "POST":
            given.setdefault("Origin", f"http://127.0.0.1:{self.port}")
            given.setdefault("Content-Type", "application/json")
        if silent:
            del given["Origin"]
        data = json.dumps(body) if isinstance(body, dict | list) else body
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        if data is not None:
            data = data.encode() if isinstance(data, str) else data
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def get(self, path):
        status, _, content = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def first(self):
        """Return the first image that is asked about, as soon as there is one."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            found = json.loads(self.ask("POST", "/api/next", {"next": 1})[2])["next"]
            if found:
                return found[0]
            time.sleep(0.02)
        raise AssertionError("no image came")

    def loaded(self):
        """Wait until all images of the source have their vectors or their reason."""
        end = time.monotonic() + START_S
        while self.get("/api/state")["loading"]["step"] != "done":
            assert time.monotonic() < end, "it is still loading"
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is not None:
            return self.process.returncode, ""
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=START_S)
        return self.process.returncode, err

    def kill(self):
        """End it without any chance to tidy up."""
        self.process.kill()
        self.process.communicate()
