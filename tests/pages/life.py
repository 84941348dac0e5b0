"""A reader's whole life, and the author's Monday after it. Each test is a sentence; each goes on where the one before
it ended."""

import contextlib
import json
import re
import sqlite3
import time

from author import FIREFOX, follow_link, link_to
from driver import ENTER, SPACE, TAB, browser, wait_for
from pages import LOOK, SHOTS, looks_right, looks_right_here, press, tab_to
from world import LIST, SLUG, world

OLD, NEW = "ann@old.example", "ann@new.example"
ISSUE = """---
title: {title}
---

## A headline

Some words and [a link](https://example.com/{slug}).
"""
# Readers who make the numbers, and one whose server knows nobody of that name.
CROWD = [f"crowd{n}@example.org" for n in range(40)]
GONE = "gone+550-5.1.1@example.org"


def send(it, slug, title):
    it.write(slug, ISSUE.format(slug=slug, title=title))
    it.run("send", slug, "--list", LIST, "--yes", "--accept", "hour", "--accept", "audience")


def fields(chromium):
    look = chromium.run(LOOK, "light", 375)
    assert not look["faults"], look["faults"]


def join(it, chromium, address):
    """From the front page to the press in the mail."""
    before = len(list(it.mails.rglob("*.eml")))
    chromium.open(it.site + "/")
    time.sleep(0.2)  # longer than the youngest form that is believed
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "email")
    chromium.keys(address)
    press(chromium, "subscribe")
    assert "Look into your inbox" in chromium.text(), chromium.text()
    wait_for("the mail", lambda: len(list(it.mails.rglob("*.eml"))) > before)
    return it.mail_to(address, "confirm")


def she_finds_it_reads_an_issue_and_joins(it, chromium):
    chromium.open(it.site + "/archive")
    chromium.open(link_to(chromium, "/archive/" + SLUG))
    assert link_to(chromium, it.site + "/"), "no way to subscribe"
    mail = join(it, chromium, OLD)
    looks_right_here(chromium, "life-received")
    chromium.open(it.link(mail, "/confirm/"))
    press(chromium, "confirm")
    looks_right_here(chromium, "life-confirmed")
    assert it.status(OLD) == "confirmed"
    assert it.mail_to(OLD, "Welcome")


def she_reads_it_in_the_mail_and_in_the_browser(it, chromium):
    send(it, "first", "Her first")
    mail = it.mail_to(OLD, "Her first")
    html = mail.get_body(("html",)).get_content()
    view = re.search(re.escape(it.site) + r"/view/[A-Za-z0-9_-]+", html)
    assert view, html
    chromium.open(view[0])
    assert "Some words and a link" in chromium.text(), chromium.text()
    with contextlib.closing(sqlite3.connect(it.news / "pressrun.db", timeout=30)) as db, db:
        db.execute("update deliveries set settled_at = settled_at - 3600000 where state = 'sent'")
    follow_link(it.link(mail, "/c/"), FIREFOX)
    events = json.loads(it.run("events", "first", "--json"))
    # The browser loads the pixel of the copy as the mail program would.
    assert [event["kind"] for event in events] == ["view", "open", "click"], events
    assert events[2]["verdict"] == "human", events


def she_chooses_and_rests_for_a_while(it, chromium):
    # She has no mail of ours at hand: the form sends her the way to her own page.
    chromium.open(it.site + "/")
    time.sleep(0.2)
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "email")
    chromium.keys(OLD)
    press(chromium, "subscribe")
    url = it.link(it.mail_to(OLD, "subscribed already"), "/preferences/")
    chromium.open(url)
    tab_to(chromium, lambda tag, name, _: tag == "select" and name == "frequency")
    chromium.keys("O")
    press(chromium, "save", "lists")
    assert "Saved." in chromium.text(), chromium.text()
    chosen = "return document.getElementById('frequency').value"
    assert chromium.run(chosen) == "monthly", chromium.run(chosen)
    send(it, "weekly-only", "For the others")
    assert it.taken("For the others") > 0
    assert not [True for path in it.mails.rglob("*.eml")
                if b"To: " + OLD.encode() in path.read_bytes()
                and b"Subject: For the others" in path.read_bytes()], "she wants the digest alone"
    tab_to(chromium, lambda tag, name, _: tag == "select" and name == "frequency")
    chromium.keys("E")
    press(chromium, "save", "lists")
    chromium.run(
        "const d = new Date(Date.now() + 9e8); document.getElementById('until').value ="
        " d.toISOString().slice(0, 10)"
    )
    press(chromium, "pause")
    looks_right_here(chromium, "life-paused")
    assert it.status(OLD) == "paused"
    press(chromium, "unpause")
    assert it.status(OLD) == "confirmed"


def she_moves_to_another_address(it, chromium):
    chromium.open(it.link(it.mail_to(OLD, "Her first"), "/preferences/"))
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "email")
    chromium.keys(NEW)
    press(chromium, "address", "change")
    looks_right_here(chromium, "life-moving")
    assert it.status(NEW) is None, "nobody has pressed anything yet"
    link = it.link(it.mail_to(NEW), "/confirm/")
    looks_right(chromium, "life-new-address", link)
    chromium.open(link)
    press(chromium, "confirm")
    looks_right_here(chromium, "life-moved")
    assert it.status(NEW) == "confirmed" and it.status(OLD) is None
    send(it, "second", "Her second")
    assert it.mail_to(NEW, "Her second")


def she_leaves_says_why_and_comes_back(it, chromium):
    mail = it.mail_to(NEW, "Her second")
    url = str(mail["List-Unsubscribe"]).split(",")[0].strip(" <>")
    chromium.open(url)
    tab_to(chromium, lambda tag, _, text: tag == "summary")
    chromium.keys(ENTER)
    looks_right_here(chromium, "life-why")
    tab_to(chromium, lambda tag, name, _: tag == "input" and name == "reason")
    chromium.keys(SPACE)
    tab_to(chromium, lambda tag, name, _: tag == "textarea" and name == "words")
    chromium.keys("Less would be more")
    chromium.run("document.querySelector('button').focus()")
    before = chromium.run("return performance.timeOrigin")
    chromium.keys(ENTER)
    loaded = "return performance.timeOrigin !== arguments[0] && document.readyState === 'complete'"
    wait_for("the next page", lambda: chromium.run(loaded, before))
    looks_right_here(chromium, "life-left")
    assert it.status(NEW) == "unsubscribed"
    # A link says to the second when it was made, and one from before she left brings nobody back.
    left = int(time.time())
    wait_for("the next second", lambda: int(time.time()) > left)
    # By the front page, as if it were the first time: a fresh mail, a fresh press.
    mail = join(it, chromium, NEW)
    assert it.status(NEW) == "unsubscribed", "a form brings nobody back"
    chromium.open(it.link(mail, "/confirm/"))
    press(chromium, "confirm")
    assert it.status(NEW) == "confirmed"
    # A slip of the finger is taken back where it happened.
    chromium.open(url)
    press(chromium, "leave")
    press(chromium, "return")
    looks_right_here(chromium, "life-returned")
    assert it.status(NEW) == "confirmed"


def the_author_looks_back_on_a_monday(it, chromium):
    table = it.folder / "crowd.csv"
    table.write_text("email\n" + "\n".join([*CROWD, GONE]) + "\n")
    it.run("subscribers", "import", table, "--list", LIST, "--consent", "made up for a test")
    for slug in ("one", "two", "three", "monday"):
        send(it, slug, slug.capitalize())
    with contextlib.closing(sqlite3.connect(it.news / "pressrun.db", timeout=30)) as db, db:
        db.execute("update deliveries set settled_at = settled_at - 3600000 where state = 'sent'")
    for slug, readers in (("one", 4), ("two", 5), ("three", 4), ("monday", 25)):
        for address in CROWD[:readers]:
            follow_link(it.link(it.mail_to(address, slug.capitalize()), "/c/"), FIREFOX)

    chromium.open(it.run("admin", "login-link").strip())
    press(chromium, "log in")
    # What happened: in the sink's own count and in the log's.
    assert "this week" in chromium.text().lower(), chromium.text()
    chromium.open(link_to(chromium, "/runs/"))
    assert "Monday" in chromium.text(), chromium.text()
    run = chromium.url()
    told = json.loads(it.run("stats", "monday", "--json"))
    assert told["sent"] == it.taken("Monday"), told
    assert f"sent\n{told['sent']}" in chromium.text().lower(), chromium.text()
    events = json.loads(it.run("events", "monday", "--json"))
    people = {e["delivery"] for e in events if e["kind"] == "click" and e["verdict"] == "human"}
    assert len(people) == 25, events
    # Compared with what: once hardly anything comes to it any more.
    with contextlib.closing(sqlite3.connect(it.news / "pressrun.db", timeout=30)) as db, db:
        days = 3 * 86_400_000
        db.execute(f"update runs set started_at = started_at - {days}, finished_at = finished_at - {days} where id > 1")
    looks_right(chromium, "life-monday", run + "/numbers")
    chromium.open(run + "/numbers")
    figures = chromium.run("return [...document.querySelectorAll('.figures.large dd')].map((e) => e.innerText)")
    assert figures[0].split()[0] == "25" and "more than usual" in figures[0], figures
    assert "against the last" in chromium.text().lower(), chromium.text()
    # Who.
    chromium.open(it.pages + "/segments?q=clicked%3Amonday&list=" + LIST)
    assert "25 of" in chromium.text(), chromium.text()
    chromium.open(it.pages + "/subscribers?q=" + NEW)
    chromium.open(link_to(chromium, "/subscribers/"))
    story = chromium.text()
    for part in ("Her first", "Her second", "Monday", "address", "confirm", "return"):
        assert part in story, f"{part}: {story}"
    # Why.
    chromium.open(it.pages + "/subscribers?q=gone")
    chromium.open(link_to(chromium, "/subscribers/"))
    assert "Suppressed: bounced" in chromium.text(), chromium.text()
    first = "return [...document.links].map((a) => a.href).filter((h) => h.includes('/deliveries/')).pop()"
    chromium.open(chromium.run(first))
    assert "5.1.1" in chromium.text(), chromium.text()
    chromium.open(link_to(chromium, "/lists"))
    chromium.open(link_to(chromium, "/lists/1"))
    assert "By month of joining" in chromium.text() or "by month of joining" in chromium.text().lower()


def she_is_erased_and_nothing_brings_her_back(it, chromium):
    chromium.open(it.link(it.mail_to(NEW, "Monday"), "/preferences/"))
    press(chromium, "erase")
    looks_right_here(chromium, "life-erase")
    press(chromium, "erase-mail")
    # Her move can still be taken back: her first address has the last word.
    chromium.open(it.link(it.mail_to(OLD, "Erase everything"), "/confirm/"))
    looks_right_here(chromium, "life-erase-proven")
    press(chromium, "erase")
    looks_right_here(chromium, "life-erased")
    assert it.status(NEW) is None
    table = it.folder / "again.csv"
    table.write_text(f"email\n{NEW}\n")
    it.run("subscribers", "import", table, "--list", LIST, "--consent", "made up for a test")
    assert it.status(NEW) is None
    send(it, "after", "After her")
    assert it.taken("After her") > 0
    chromium.open(it.pages + "/subscribers?q=ann")
    assert NEW not in chromium.text() and OLD not in chromium.text(), chromium.text()


TESTS = [
    she_finds_it_reads_an_issue_and_joins,
    she_reads_it_in_the_mail_and_in_the_browser,
    she_chooses_and_rests_for_a_while,
    she_moves_to_another_address,
    she_leaves_says_why_and_comes_back,
    the_author_looks_back_on_a_monday,
    she_is_erased_and_nothing_brings_her_back,
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    # All of a life in some minutes: nobody waits a day between two mails.
    settings = {"SIGNUP__ADDRESS_WINDOW": "1s", "SIGNUP__MONTHLY": LIST}
    with world(**settings) as it, browser() as chromium:
        chromium.scripts(False)
        for test in TESTS:
            test(it, chromium)
            print(f"test life::{test.__name__} ... ok")
    print(f"test result: ok. {len(TESTS)} passed; 0 failed; 0 ignored; screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
