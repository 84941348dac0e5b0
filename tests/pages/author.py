"""The author's Monday in a browser: log in, look, follow a run, find a reader. Each test is a sentence."""

import base64
import contextlib
import json
import re
import sqlite3
import urllib.error
import urllib.request

from driver import ENTER, SPACE, TAB, browser, wait_for
from pages import SHOTS, looks_right, looks_right_here, press, tab_to
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


# The cells of the table whose first column has this name.
CELLS = """
const all = [...document.querySelectorAll('table')];
const table = all.find((t) => t.querySelector('thead th').innerText === arguments[0]);
return [...table.querySelectorAll('tbody tr')].map((r) => [...r.cells].map((c) => c.innerText));
"""
FIREFOX = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept-Language": "en",
}


class Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def follow_link(link, headers):
    """Asks a link as a reader's browser does, and does not go where it leads."""
    try:
        urllib.request.build_opener(Stays).open(urllib.request.Request(link, headers=headers))
        raise AssertionError(f"{link} leads nowhere")
    except urllib.error.HTTPError as error:
        assert error.code == 302, error


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
    chromium.open(it.pages + "/lists")
    weekly = link_to(chromium, "/lists/1")
    chromium.open(it.pages + "/imports")
    imported = link_to(chromium, "/imports/2")
    number = run.rsplit("/", 1)[1]
    pages = {
        "overview": it.pages + "/",
        "issues": it.pages + "/issues",
        "issue": it.pages + f"/issues/{SLOW}",
        "run": run,
        "subscribers": it.pages + "/subscribers",
        "subscriber": reader,
        "delivery": delivery,
        "numbers": it.pages + "/numbers",
        "run-numbers": it.pages + f"/runs/{number}/numbers",
        "clicks": it.pages + f"/runs/{number}/clicks",
        "lists": it.pages + "/lists",
        "list": weekly,
        "segments": it.pages + "/segments?q=not+domain%3Aexample.com",
        "imports": it.pages + "/imports",
        "import": imported,
        "suppressions": it.pages + "/suppressions",
        "settings": it.pages + "/settings",
        "sessions": it.pages + "/sessions",
        "audit": it.pages + "/audit",
    }
    for name, url in pages.items():
        looks_right(chromium, f"author-{name}", url)
        keyboard_reaches_all(chromium, url)
        for width in (375, 1280):
            # The whole page, to be looked at.
            chromium.width(width, 740)
            chromium.open(url)
            height = chromium.run("return document.documentElement.scrollHeight")
            for scheme in ("light", "dark"):
                chromium.scheme(scheme)
                chromium.width(width, min(height + 40, 4000))
                shot(chromium, f"whole-{name}-{scheme}-{width}")
            chromium.scheme("light")
        chromium.scheme("dark")
        chromium.width(1280, 1600)
        chromium.open(url)
        shot(chromium, f"{name}-tall")
        chromium.scheme("light")


def the_numbers_on_the_pages_are_those_of_the_log(it, chromium):
    links = {}
    for reader in ("leaver@example.org", "other@example.org"):
        text = it.mail_to(reader).get_body(("plain",)).get_content()
        links[reader] = re.findall(re.escape(it.site + "/c/") + r"[A-Za-z0-9_-]+", text)
        assert len(links[reader]) == 2, text
    with contextlib.closing(sqlite3.connect(it.news / "pressrun.db", timeout=30)) as db, db:
        # It was sent an hour ago: nobody follows a link within seconds.
        db.execute("update deliveries set settled_at = settled_at - 3600000 where run_id = 2")
    follow_link(links["leaver@example.org"][0], FIREFOX)
    follow_link(links["other@example.org"][0], FIREFOX)
    follow_link(links["other@example.org"][1], FIREFOX)
    follow_link(links["leaver@example.org"][1], {"User-Agent": "curl/8.5"})
    told = it.stats()
    events = json.loads(it.run("events", SLUG, "--json"))
    people = {e["delivery"] for e in events if e["kind"] == "click" and e["verdict"] == "human"}
    assert len(events) == 4 and len(people) == 2, events
    assert told["judged"]["clicked"]["part"] == len(people), told["judged"]
    chromium.open(it.pages + "/runs/2/numbers")
    rows = chromium.run(CELLS, "Link")
    numbers = [[int(cell.split()[0]) for cell in row[1:]] for row in rows]
    assert numbers == [[2, 2, 0], [1, 1, 1]], rows
    figures = chromium.run("return [...document.querySelectorAll('.figures.large dd')].map((e) => e.innerText)")
    assert figures[0].split()[0] == "2", figures
    chromium.open(link_to(chromium, "/runs/2/clicks"))
    listed = chromium.run("return [...document.querySelectorAll('ol li')].map((e) => e.innerText)")
    assert "2 readers" in listed[0] and "1 reader" in listed[1], listed
    frame = chromium.run("return document.querySelector('iframe.mail').src")
    chromium.width(375)
    chromium.open(frame)
    badges = chromium.run("return [...document.querySelectorAll('a span, a + span')].map((e) => e.innerText)")
    assert [badge.split()[0] for badge in badges if badge.strip()] == ["2", "1"], badges
    wide = chromium.run("return document.documentElement.scrollWidth")
    assert wide <= 375, f"the issue with its clicks is {wide} px wide on a phone"


def fill_import(it, chromium, table):
    """Fills the form of the page of imports by keyboard; it is not sent yet."""
    chromium.open(it.pages + "/imports")
    tab_to(chromium, lambda tag, _, text: tag == "summary" and "import" in text.lower())
    chromium.keys(ENTER)
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "file")
    chromium.choose("#file", table)
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "consent")
    chromium.keys("asked at the fair")


def readers_are_imported_and_taken_back_by_keyboard(it, chromium):
    table = it.folder / "late.csv"
    rows = "".join(f"late{n}@example.org,Late {n}\n" for n in range(30))
    table.write_text("email,name,shoe size\n" + rows + "nobody,No,1\n")
    fill_import(it, chromium, table)
    shot(chromium, "import-form")
    looks_right_here(chromium, "author-import-form")
    press(chromium, "look at it")
    assert "+30 new, 1 rejected" in chromium.text(), chromium.text()
    looks_right_here(chromium, "author-import-look")
    assert it.status("late1@example.org") is None, "looking imports nobody"
    press(chromium, "import")
    assert "/imports/" in chromium.url(), chromium.url()
    assert it.status("late1@example.org") == "confirmed"
    press(chromium, "look who would go")
    assert "30" in chromium.text() and "take import" in chromium.text().lower(), chromium.text()
    looks_right_here(chromium, "author-import-undo")
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "sure")
    chromium.keys(SPACE)
    press(chromium, "take it back")
    assert "30 readers went" in chromium.text(), chromium.text()
    assert it.status("late1@example.org") is None
    chromium.open(it.pages + "/audit")
    for line in ("imported readers", "took an import back", "command line"):
        assert line in chromium.text(), chromium.text()


def a_table_with_headers_of_its_own_is_explained_by_keyboard(it, chromium):
    table = it.folder / "odd.csv"
    table.write_text("Contact,Who\nodd1@example.org,Odd One\nnobody,No\n")
    fill_import(it, chromium, table)
    press(chromium, "look at it")
    assert "no column holds the address" in chromium.text(), chromium.text()
    looks_right_here(chromium, "author-import-map")
    for name, letter in (("field_email", "C"), ("field_name", "W")):
        tab_to(chromium, lambda tag, field, _: tag == "select" and field == name)
        chromium.keys(letter)
    press(chromium, "look at it again")
    assert "+1 new, 1 rejected" in chromium.text(), chromium.text()
    tab_to(chromium, lambda tag, _, text: tag == "summary" and "column" in text.lower())
    chromium.keys(ENTER)
    looks_right_here(chromium, "author-import-columns")
    press(chromium, "import")
    assert it.status("odd1@example.org") == "confirmed"
    looks_right_here(chromium, "author-import-rejected")
    rejected = link_to(chromium, "/rejected.csv")
    told = "return fetch(arguments[0]).then((answer) => answer.text())"
    assert "nobody,No" in chromium.run(told, rejected)


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
    for name in ("raw_opens", "raw_clicks"):
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
    the_numbers_on_the_pages_are_those_of_the_log,
    readers_are_imported_and_taken_back_by_keyboard,
    a_table_with_headers_of_its_own_is_explained_by_keyboard,
    every_page_looks_right_and_is_reached_by_keyboard,
    a_reader_is_found_and_her_mail_shown_and_nothing_is_counted,
    a_run_is_followed_live_paused_resumed_and_cancelled_by_keyboard,
    a_password_is_set_and_the_old_session_ends,
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with world() as it, browser() as chromium:
        it.write(SLOW, ISSUE)
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
