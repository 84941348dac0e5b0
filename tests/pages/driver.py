"""A small WebDriver client: Chromium through chromedriver, with nothing but the standard library.

Promises a browser with a fresh profile that asks no host but ours, and that is gone at the end.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = [
    "--headless=new",
    "--no-sandbox",  # the tests run as root in containers, and look at our own pages only
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# WebDriver's code points for keys without a character.
TAB, ENTER, SPACE, ESCAPE = "\ue004", "\ue007", "\ue00d", "\ue00c"


class Browser:
    """One session. Every method waits for chromedriver and raises with its message."""

    def __init__(self, base, session):
        self.base = f"{base}/session/{session}"

    def call(self, method, path, body=None):
        return request(method, self.base + path, body)

    def cdp(self, command, **parameters):
        """Chromium's own protocol, for what WebDriver cannot say."""
        body = {"cmd": command, "params": parameters}
        return self.call("POST", "/goog/cdp/execute", body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def url(self):
        return self.call("GET", "/url")

    def run(self, script, *arguments):
        """The value that `script` returns; works with the page's own scripts switched off as well."""
        body = {"script": script, "args": list(arguments)}
        return self.call("POST", "/execute/sync", body)

    def text(self):
        return self.run("return document.body.innerText")

    def keys(self, text):
        """Types on the keyboard, wherever the focus is."""
        actions = []
        for key in text:
            actions.append({"type": "keyDown", "value": key})
            actions.append({"type": "keyUp", "value": key})
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", {"actions": [source]})

    def tap(self, x, y):
        """Touches the page at a point of the window, as a finger does."""
        actions = [
            {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        finger = {"type": "pointer", "id": "finger", "actions": actions}
        finger["parameters"] = {"pointerType": "touch"}
        self.call("POST", "/actions", {"actions": [finger]})

    def choose(self, selector, path):
        """Chooses a file for a field; the dialog itself is the system's."""
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self.call("POST", f"/element/{element}/value", {"text": str(path)})

    def width(self, pixels, height=740):
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=pixels,
            height=height,
            deviceScaleFactor=1,
            mobile=pixels < 600,
        )

    def scheme(self, name):
        feature = {"name": "prefers-color-scheme", "value": name}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def scripts(self, on):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def screenshot(self):
        """PNG in base64."""
        return self.call("GET", "/screenshot")


def request(method, url, body=None, timeout=120):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        value = json.load(error).get("value", {})
        raise RuntimeError(f"{method} {url}: {value.get('message')}") from None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, done, seconds=120):
    """What `done` gives, as soon as it gives something."""
    until = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s and still not: {what}")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def browser():
    """A browser of its own; chromedriver and the profile go with it."""
    port = free_port()
    profile = tempfile.mkdtemp(prefix="pressrun-chromium.")
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--log-level=SEVERE"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    session = None
    try:
        wait_for("chromedriver listens", lambda: listens(port))
        options = {
            "binary": shutil.which("chromium"),
            "args": FLAGS + [f"--user-data-dir={profile}"],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        body = {"capabilities": {"alwaysMatch": wanted}}
        session = request("POST", f"{base}/session", body)["sessionId"]
        yield Browser(base, session)
    finally:
        if session:
            with contextlib.suppress(Exception):
                request("DELETE", f"{base}/session/{session}")
        driver.terminate()
        driver.wait()
        shutil.rmtree(profile, ignore_errors=True)
