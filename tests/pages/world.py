"""A publication of its own for the page tests: a sink that keeps the mails, and `pressrun serve`."""

import contextlib
import email
import email.policy
import json
import os
import pathlib
import re
import subprocess
import tempfile

from driver import free_port, listens, wait_for

BINARY = os.environ["PRESSRUN_BINARY"]
LIST = "weekly"
SLUG = "pages"
ISSUE = """---
title: An issue for the page tests
---

## A headline that is long enough to be broken into several lines on the narrow screen of a phone

Some words, [a link](https://example.com/first) and [another](https://example.com/second).
"""


class World:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.news = self.folder / "news"
        self.mails = self.folder / "mails"
        self.public = free_port()
        self.admin = free_port()
        self.relay = free_port()
        self.site = f"http://127.0.0.1:{self.public}"
        self.pages = f"http://127.0.0.1:{self.admin}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PRESSRUN_")}
        self.environment = kept | {
            "PRESSRUN_RELAY__MAIN__TLS": "none",
            "PRESSRUN_HTTP__PUBLIC": f"127.0.0.1:{self.public}",
            "PRESSRUN_HTTP__ADMIN": f"127.0.0.1:{self.admin}",
            # A person needs seconds for the form; chromedriver does not.
            "PRESSRUN_SIGNUP__FORM_MIN_AGE": "50ms",
            # The readers' domains are made up.
            "PRESSRUN_SIGNUP__CHECK_MX": "false",
        }

    def run(self, *arguments, config=True, may_fail=(), typed=""):
        before = [BINARY]
        if config:
            before += ["--config", self.news / "pressrun.toml"]
        done = subprocess.run(
            [*before, *arguments],
            env=self.environment,
            cwd=self.folder,
            input=typed,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, *may_fail):
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self, name, *arguments):
        log = open(self.folder / f"{name}.log", "w")
        return subprocess.Popen(
            [BINARY, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def mail_to(self, address, subject=""):
        """The newest mail to `address`, parsed; waits for it."""

        def look():
            files = sorted(self.mails.rglob("*.eml"), key=lambda path: path.stat().st_mtime)
            for path in reversed(files):
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if address in str(mail["To"]) and subject in str(mail["Subject"]):
                    return mail
            return None

        return wait_for(f"a mail for {address}", look)

    def write(self, slug, text):
        """Puts an issue into the author's folder."""
        issue = self.news / "emails" / "issues" / slug
        issue.mkdir(parents=True)
        (issue / "issue.md").write_text(text)

    def taken(self, subject):
        """How many mails of this subject the sink took: its own count."""
        mails = (path.read_bytes() for path in self.mails.rglob("*.eml"))
        line = f"\r\nSubject: {subject}\r\n".encode()
        return sum(line in mail for mail in mails)

    def link(self, mail, path):
        """The URL below `path` in the mail's text part."""
        text = mail.get_body(("plain",)).get_content()
        found = re.search(re.escape(self.site + path) + r"[A-Za-z0-9_-]+", text)
        assert found, f"no {path} in {text}"
        return found[0]

    def status(self, address):
        """The reader's status on the list, or None."""
        text = self.run("subscribers", "show", address, "--json", may_fail=(1, 3))
        found = re.search(r'"status":\s*"(\w+)"', text)
        return found[1] if found else None

    def stats(self):
        return json.loads(self.run("stats", SLUG, "--json"))


@contextlib.contextmanager
def world(**settings):
    """The publication with one sent issue, served; everything is gone at the end. Settings are named as the
    environment names them, without `PRESSRUN_`."""
    with tempfile.TemporaryDirectory(prefix="pressrun-pages.") as folder:
        it = World(folder)
        it.environment |= {f"PRESSRUN_{name}": value for name, value in settings.items()}
        it.mails.mkdir()
        sink = it.start("sink", "sink", "--listen", f"127.0.0.1:{it.relay}", "--store", it.mails)
        serve = None
        try:
            wait_for("the sink listens", lambda: listens(it.relay))
            it.run(
                "init", it.news, "--name", "The Weekly Test", "--url", it.site,
                "--from", "news@example.com", "--postal-address", "1 Test Street, Testville",
                "--list", LIST, "--relay", f"smtp://127.0.0.1:{it.relay}",
                config=False,
            )  # fmt: skip
            it.write(SLUG, ISSUE)
            readers = it.folder / "readers.csv"
            readers.write_text("email\nleaver@example.org\nother@example.org\n")
            it.run("subscribers", "import", readers, "--list", LIST, "--consent", "made up for a test")
            it.run("send", SLUG, "--list", LIST, "--yes")
            serve = it.start("serve", "--config", it.news / "pressrun.toml", "serve")
            wait_for("the site listens", lambda: listens(it.public) and listens(it.admin))
            yield it
        except BaseException:
            for log in it.folder.glob("*.log"):
                print(f"-- {log.name}\n{log.read_text()[-3000:]}")
            raise
        finally:
            for process in (serve, sink):
                if process:
                    process.terminate()
                    process.wait()
