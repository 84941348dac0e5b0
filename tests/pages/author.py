"""The author's Monday in a browser: log in, look, follow a run, find a reader. Each test is a sentence."""

import base64

from driver import ENTER, TAB, browser, wait_for
from pages import LOOK, SHOTS, looks_right, press, tab_to
from world import LIST, SLUG, world

SLOW = "slow"
ISSUE = """---
title: An issue that takes its time
---

## One headline

Some words and [a link](https://example.com/slow).
"""
# Everything a mouse could use, and what has the focus.
CONTROLS = """
const all = document.querySelectorAll('a[href], button, input:not([type=hidden]), summary');
return [...all].filter((e) => e.checkVisibility()).length;
"""
HERE = """
const e = document.activeElement;
const style = getComputedStyle(e);
if (e === document.body) return null;
e.dataset.reached = 'yes';
return style.outlineStyle !== 'none' || style.boxShadow !== 'none' || e.tagName === 'IFRAME';
"""
REACHED = """
const all = document.querySelectorAll('a[href], button, input:not([type=hidden]), summary');
return [...all].filter((e) => e.checkVisibility() && !e.dataset.reached)
  .map((e) => e.innerText || e.name || e.href);
"""


def shot(chromium, name):
    (SHOTS / f"author-{name}.png").write_bytes(base64.b64decode(chromium.screenshot()))


def link_to(chromium, part):
    """The first link of the page whose address holds `part`."""
    found = chromium.run(
        "return [...document.links].map((a) => a.href).find((h) => h.includes(arguments[0]))", part
    )
    assert found, f"no link to {part} on {chromium.url()}: {chromium.text()}"
    return found


def keyboard_reaches_all(chromium, url):
    """Each control gets the focus by Tab, and can be seen to have it."""
    chromium.open(url)
    for _ in range(chromium.run(CONTROLS) + 5):
        chromium.keys(TAB)
        visible = chromium.run(HERE)
        assert visible is not False, f"a focus on {url} cannot be seen"
    missed = chromium.run(REACHED)
    assert not missed, f"not reached on {url}: {missed}"


def follow(chromium, key, done):
    chromium.keys(key)
    return wait_for("what the key does", done)


def without_a_session_there_is_the_login_alone(it, chromium):
    looks_right(chromium, "author-login-first", it.pages + "/")
    chromium.open(it.pages + "/subscribers")
    assert "/login?to=" in chromium.url(), chromium.url()
    assert "pressrun admin login-link" in chromium.text()
    assert "example.org" not in chromium.text()


def a_link_logs_in_by_keyboard(it, chromium):
    link = it.run("admin", "login-link").strip()
    looks_right(chromium, "author-link", link)
    chromium.open(link)
    press(chromium, "log in")
    assert chromium.url() == it.pages + "/", chromium.url()
    assert "overview" in chromium.text().lower()
    chromium.open(link)
    press(chromium, "log in")
    assert "logs nobody in" in chromium.text(), chromium.text()


def every_page_looks_right_and_is_reached_by_keyboard(it, chromium):
    chromium.open(it.pages + "/issues")
    run = link_to(chromium, "/runs/")
    chromium.open(it.pages + "/subscribers")
    reader = link_to(chromium, "/subscribers/")
    chromium.open(reader)
    delivery = link_to(chromium, "/deliveries/")
    pages = {
        "overview": it.pages + "/",
        "issues": it.pages + "/issues",
        "issue": it.pages + f"/issues/{SLOW}",
        "run": run,
        "subscribers": it.pages + "/subscribers",
        "subscriber": reader,
        "delivery": delivery,
        "suppressions": it.pages + "/suppressions",
        "settings": it.pages + "/settings",
        "sessions": it.pages + "/sessions",
        "audit": it.pages + "/audit",
    }
    for name, url in pages.items():
        looks_right(chromium, f"author-{name}", url)
        keyboard_reaches_all(chromium, url)
        chromium.scheme("dark")
        chromium.width(1280, 1600)
        chromium.open(url)
        shot(chromium, f"{name}-tall")
        chromium.scheme("light")


def a_reader_is_found_and_her_mail_shown_and_nothing_is_counted(it, chromium):
    before = it.stats()
    chromium.open(it.pages + "/subscribers")
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "q")
    follow(chromium, "other@" + ENTER, lambda: "q=other" in chromium.url())
    chromium.open(link_to(chromium, "/subscribers/"))
    assert "other@example.org" in chromium.text()
    chromium.open(link_to(chromium, "/deliveries/2-"))
    chromium.width(1280, 1600)
    wait_for("the mail in its frame", lambda: chromium.run("return !!document.querySelector('iframe.mail')"))
    shot(chromium, "mail")
    source = chromium.run("return document.querySelector('.source').textContent")
    kept = [path.read_bytes() for path in it.mails.rglob("*.eml")]
    kept = [mail for mail in kept if b"\r\nTo: other@example.org\r\n" in mail]
    assert len(kept) == 1, f"{len(kept)} mails"
    assert source.replace("\r\n", "\n") == kept[0].decode().replace("\r\n", "\n"), "not what the sink took"
    after = it.stats()
    for name in ("opens", "clicks"):
        assert after[name] == before[name], f"looking at a mail counted {name}"


def a_run_is_followed_live_paused_resumed_and_cancelled_by_keyboard(it, chromium):
    it.run("send", SLOW, "--list", LIST, "--rate", "4/s", "--detach", "--yes",
           "--accept", "hour", "--accept", "audience")  # fmt: skip
    chromium.scripts(True)
    chromium.width(375)
    chromium.open(it.pages + "/")
    chromium.open(link_to(chromium, "/runs/3"))
    done = "return Number(document.querySelector('.progress strong').innerText)"
    wait_for("the run sends", lambda: "sending" in chromium.run("return document.querySelector('h1').innerText"))
    first = chromium.run(done)
    wait_for("the page moves by itself", lambda: chromium.run(done) > first + 4)
    shot(chromium, "live")
    chromium.run("scrollTo(0, 0)")
    press(chromium, "pause")
    wait_for("the pause", lambda: "is paused by hand" in chromium.text())
    shot(chromium, "paused")
    press(chromium, "resume")
    wait_for("it goes on", lambda: "sending" in chromium.run("return document.querySelector('h1').innerText"))
    tab_to(chromium, lambda tag, _, text: tag == "summary" and "cancel" in text.lower())
    chromium.keys(ENTER)
    chromium.keys(TAB + "\ue00d")
    shot(chromium, "cancel")
    before = chromium.run("return performance.timeOrigin")
    chromium.keys(TAB + ENTER)
    loaded = "return performance.timeOrigin !== arguments[0] && document.readyState === 'complete'"
    wait_for("the next page", lambda: chromium.run(loaded, before))
    wait_for("the end", lambda: "is cancelled" in chromium.text())
    chromium.open(it.pages + "/audit")
    for line in ("paused a run", "resumed a run", "cancelled a run"):
        assert line in chromium.text(), chromium.text()
    chromium.scripts(False)


def a_password_is_set_and_the_old_session_ends(it, chromium):
    it.run("admin", "password", typed="correct horse battery staple\n")
    chromium.open(it.pages + "/issues")
    assert "/login" in chromium.url(), "a new password ends every session"
    looks_right(chromium, "author-login", it.pages + "/login")
    chromium.open(it.pages + "/issues")
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "password")
    chromium.keys("wrong horse battery staple" + ENTER)
    wait_for("the answer", lambda: "did not log you in" in chromium.text())
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "password")
    chromium.keys("correct horse battery staple" + ENTER)
    wait_for("the page that was asked for", lambda: chromium.url() == it.pages + "/issues")
    press(chromium, "log out")
    assert "/login" in chromium.url()


TESTS = [
    without_a_session_there_is_the_login_alone,
    a_link_logs_in_by_keyboard,
    every_page_looks_right_and_is_reached_by_keyboard,
    a_reader_is_found_and_her_mail_shown_and_nothing_is_counted,
    a_run_is_followed_live_paused_resumed_and_cancelled_by_keyboard,
    a_password_is_set_and_the_old_session_ends,
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with world() as it, browser() as chromium:
        folder = it.news / "emails" / "issues" / SLOW
        folder.mkdir(parents=True)
        (folder / "issue.md").write_text(ISSUE)
        more = it.folder / "more.csv"
        rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(400))
        more.write_text("email,name\n" + rows)
        it.run(
            "subscribers", "import", more, "--list", LIST,
            "--consent", "made up for a test",
        )  # fmt: skip
        chromium.scripts(False)
        for test in TESTS:
            test(it, chromium)
            print(f"test author::{test.__name__} ... ok")
    print(f"test result: ok. {len(TESTS)} passed; 0 failed; 0 ignored; screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
