"""`pressrun preview` as its author meets it. Each test is a sentence; the first fault ends the run."""

import base64
import json
import time
import urllib.request

from driver import ENTER, ESCAPE, TAB, browser, free_port, listens, wait_for
from pages import LOOK, SHOTS
from world import SLUG, world

ISSUE = """---
title: The week in small models
subject: Hello [[first_name|there]], eleven papers and a cat
preheader: Distillation that works on a laptop, and what the numbers leave out.
teaser: Distillation that works on a laptop, and what the numbers leave out.
---

Dear [[first_name|reader]], this is the week in which a model of three billion parameters beat its teacher.

## Small models learn from their own mistakes

The authors let a model **grade itself** and train on what it got wrong. Read [the paper](https://example.com/papers/self-grading) for the ablations.

![A chart with two lines that cross in the middle](chart.png)

## A benchmark that cannot be gamed, so far

It is made anew each week. [The questions](https://example.com/bench) of last week are public.

> Numbers are not the territory.
"""
BROKEN = ISSUE.replace("[[first_name|reader]]", "[[frist_name|reader]]")

# What has the focus, by a name a person would know it by, and whether that can be seen.
FOCUS = """
const e = document.activeElement;
const style = getComputedStyle(e);
const name = e.id || e.getAttribute('href') || e.innerText || e.tagName;
return [name, style.outlineStyle !== 'none' || style.boxShadow !== 'none', e.tagName];
"""
# Everything a mouse could use.
CONTROLS = """
const all = document.querySelectorAll('a[href], button, input:not([type=hidden]), summary, [tabindex="0"]');
return [...all].filter((e) => e.checkVisibility() && !e.disabled)
  .map((e) => e.id || e.getAttribute('href') || e.innerText || e.tagName);
"""
INSIDE = "const mail = document.getElementById('frame').contentDocument; "


class Preview:
    def __init__(self, it, chromium, port):
        self.it, self.chromium = it, chromium
        self.url = f"http://127.0.0.1:{port}"
        self.issue = it.news / "emails" / "issues" / SLUG / "issue.md"

    def open(self, query="", width=1200, height=900, scheme="light"):
        self.chromium.width(width, height)
        self.chromium.scheme(scheme)
        self.chromium.open(f"{self.url}/{query}")
        self.settled()

    def settled(self):
        """The mail in the frame is loaded and as high as it is."""
        shown = INSIDE + (
            "return !document.querySelector('iframe.coming') && mail && mail.readyState === 'complete'"
            " && mail.URL !== 'about:blank' && document.getElementById('frame').offsetHeight > 250"
        )
        wait_for("the mail", lambda: self.chromium.run(shown))

    def save(self, text):
        """As editors do: a new file takes the place of the old one."""
        new = self.issue.with_name(".issue.md.new")
        new.write_text(text)
        new.rename(self.issue)

    def mail(self, script):
        return self.chromium.run(INSIDE + script)

    def shot(self, name):
        path = SHOTS / f"preview-{name}.png"
        path.write_bytes(base64.b64decode(self.chromium.screenshot()))

    def follow(self, key, done):
        """Presses a key and waits for what it does."""
        self.chromium.keys(key)
        wait_for(f"what `{key}` does", done)
        if self.chromium.run("return !!document.getElementById('frame')"):
            self.settled()


def it_looks_right_at_every_width_in_both_schemes(it):
    for show in ("", "?show=inbox", "?show=text", "?show=source"):
        for scheme in ("light", "dark"):
            for width in (1280, 375, 320):
                it.chromium.width(width, 900)
                it.chromium.scheme(scheme)
                it.chromium.open(f"{it.url}/{show}")
                if not show:
                    it.settled()
                seen = it.chromium.run(LOOK, scheme, width)
                faults = [fault for fault in seen["faults"] if fault != "a script"]
                it.shot(f"{show[6:] or 'mail'}-{scheme}-{width}")
                assert not faults, f"{show or 'mail'}, {scheme}, {width} px: {faults}"
                assert seen["dark"] == (scheme == "dark")


def the_keyboard_reaches_every_control(it):
    it.open()
    it.chromium.run("for (const d of document.querySelectorAll('details')) d.open = true")
    wanted = set(it.chromium.run(CONTROLS))
    reached = set()
    for _ in range(len(wanted) + 20):
        it.chromium.keys(TAB)
        name, visible, tag = it.chromium.run(FOCUS)
        assert visible or tag in ("BODY", "IFRAME"), f"the focus on `{name}` cannot be seen"
        reached.add(name)
    assert wanted <= reached, f"not reached: {wanted - reached}"


def keys_change_the_look_and_the_address_keeps_it(it):
    it.open()
    width = "return document.getElementById('frame').offsetWidth"
    for key, pixels in (("1", 320), ("2", 375), ("3", 600)):
        it.follow(key, lambda: it.chromium.run(width) == pixels)
    it.follow("4", lambda: it.chromium.run(width) > 700)
    assert "width=full" in it.chromium.url()
    background = "return getComputedStyle(mail.body).backgroundColor"
    light = it.mail(background)
    it.follow("d", lambda: "scheme=dark" in it.chromium.url())
    assert it.mail(background) != light, "dark is another ground"
    it.shot("dark")
    it.follow("d", lambda: "scheme=inverted" in it.chromium.url())
    inverted = it.mail("return getComputedStyle(mail.body).color")
    it.shot("inverted")
    it.follow("d", lambda: "scheme" not in it.chromium.url())
    assert it.mail(background) == light and inverted
    it.follow("c", lambda: "client=nostyle" in it.chromium.url())
    assert "media" not in it.mail("return [...mail.styleSheets].map((s) => s.ownerNode.innerText).join()")
    it.follow("c", lambda: "client=clipped" in it.chromium.url())
    assert "Nothing is clipped" in it.chromium.text()
    it.follow("c", lambda: "client=outlook" in it.chromium.url())
    assert "approximation" in it.chromium.text()
    it.shot("outlook")
    it.chromium.open(it.chromium.url())
    it.settled()
    assert "approximation" in it.chromium.text(), "a reload keeps the look"
    it.follow("c", lambda: "client" not in it.chromium.url())
    it.follow("i", lambda: "images=all" in it.chromium.url())
    it.follow("i", lambda: "images=off" in it.chromium.url())
    assert it.mail("return [...mail.images].every((image) => !image.src)")
    assert it.mail("return [...mail.images].some((image) => image.alt.includes('two lines'))")
    it.shot("images-off")
    it.follow("b", lambda: "show=inbox" in it.chromium.url())
    assert it.chromium.text().count("eleven papers and a cat") >= 4
    it.follow("t", lambda: "show=text" in it.chromium.url())
    it.follow("u", lambda: "show=source" in it.chromium.url())
    assert "Content-Type: multipart/alternative" in it.chromium.text()
    it.chromium.keys("?")
    assert it.chromium.run("return document.getElementById('help').matches(':popover-open')")
    it.shot("help")


def the_edge_of_the_frame_moves_by_arrow_keys(it):
    it.open()
    it.chromium.run("document.getElementById('handle').focus()")
    it.follow("\ue014", lambda: "width=610" in it.chromium.url())
    assert it.chromium.run("return document.getElementById('free').value") == "610"


def a_save_changes_the_mail_and_an_error_keeps_it(it):
    it.open("?width=375")
    it.mail("mail.defaultView.kept = true")
    text = "return mail.body.innerText"
    it.save(ISSUE.replace("three billion", "seven billion"))
    wait_for("the saved words", lambda: "seven billion" in it.mail(text))
    assert it.chromium.url().endswith("?width=375"), "the look stays"
    it.save(BROKEN)
    overlay = "const o = document.getElementById('overlay'); return o.hidden ? '' : o.innerText"
    wait_for("the error", lambda: "unknown-field" in it.chromium.run(overlay))
    shown = it.chromium.run(overlay)
    assert "[[frist_name|reader]]" in shown and "issue.md:8:6" in shown and "first_name" in shown, shown
    assert "seven billion" in it.mail(text), "the last good render is still there"
    it.shot("error")
    it.chromium.width(375, 800)
    it.shot("error-phone")
    it.chromium.width(1200, 900)
    it.save(ISSUE)
    wait_for("the end of the error", lambda: not it.chromium.run(overlay))
    wait_for("the old words", lambda: "three billion" in it.mail(text))


def many_of_its_pages_are_open_and_all_follow(it):
    it.open()
    first = it.chromium.call("GET", "/window")
    pages = [first]
    for number in range(8):
        opened = it.chromium.call("POST", "/window/new", {"type": "window"})
        pages.append(opened["handle"])
        it.chromium.call("POST", "/window", {"handle": opened["handle"]})
        begun = time.monotonic()
        it.open(f"?width={400 + number}")
        took = time.monotonic() - begun
        assert took < 45, f"page {number + 2} took {took:.0f} s"
    it.save(ISSUE.replace("three billion", "nine billion"))
    text = "return mail.body.innerText"
    for page in reversed(pages):
        it.chromium.call("POST", "/window", {"handle": page})
        wait_for("the saved words in each page", lambda: "nine billion" in it.mail(text))
    # Whose stream the others shared is gone; another takes its place.
    for page in pages[:4] + pages[5:]:
        it.chromium.call("POST", "/window", {"handle": page})
        it.chromium.call("DELETE", "/window")
    it.chromium.call("POST", "/window", {"handle": pages[4]})
    it.save(ISSUE)
    wait_for("the words of the last page", lambda: "three billion" in it.mail(text))
    # Pages that are left keep no connection either.
    for number in range(9):
        begun = time.monotonic()
        it.open(f"?width={400 + number}")
        took = time.monotonic() - begun
        assert took < 45, f"address {number + 1} took {took:.0f} s"


def what_is_typed_survives_a_save(it):
    it.open()
    values = (
        "return ['value-first_name', 'to', 'free'].map((id) => document.getElementById(id).value)"
    )
    typed = ["Zoe", "author@example.net", "600"]
    for field, text in zip(("value-first_name", "to"), typed):
        it.chromium.run("document.getElementById(arguments[0]).focus()", field)
        it.chromium.run("document.getElementById(arguments[0]).value = ''", field)
        it.chromium.keys(text)
    it.chromium.run("document.activeElement.blur()")
    assert it.chromium.run(values) == typed
    it.save(ISSUE.replace("three billion", "six billion"))
    wait_for("the saved words", lambda: "six billion" in it.mail("return mail.body.innerText"))
    assert it.chromium.run(values) == typed, f"after a save: {it.chromium.run(values)}"
    it.follow("1", lambda: "width=320" in it.chromium.url())
    assert it.chromium.run(values) == typed[:2] + ["320"], "what the server says anew stands"
    it.save(ISSUE)
    wait_for("the old words", lambda: "three billion" in it.mail("return mail.body.innerText"))


def a_click_on_a_block_names_its_line(it):
    it.open()
    place = "return document.getElementById('place-text').innerText"
    it.mail(
        "const p = [...mail.querySelectorAll('*')].filter((e) => e.innerText && "
        "e.innerText.includes('made anew each week')).pop(); p.click()"
    )
    wait_for("the place", lambda: it.chromium.run(place))
    line = ISSUE.split("\n").index(next(l for l in ISSUE.split("\n") if "made anew" in l)) + 1
    found = it.chromium.run(place)
    assert f"issue.md:{line}:" in found, f"line {line}: {found}"
    address = it.chromium.run("return document.getElementById('open').href")
    assert address.startswith("editor://") and address.endswith(found.split("issue.md")[1]), address
    it.shot("place")
    it.mail("mail.querySelector('h1').click()")
    line = ISSUE.split("\n").index(next(l for l in ISSUE.split("\n") if l.startswith("title:"))) + 1
    wait_for("the title's line", lambda: f"issue.md:{line}:" in it.chromium.run(place))
    drawn = it.chromium.run("return document.getElementById('drawn').innerText")
    assert "layout.mjml:" in drawn, f"who draws the title is not said: {drawn}"
    it.mail("mail.querySelector('a[href*=\"self-grading\"]').click()")
    link = "return document.getElementById('link').innerText"
    wait_for("the link", lambda: "self-grading" in it.chromium.run(link))
    assert it.chromium.url().startswith(it.url), "a link of the mail leads nowhere"
    it.chromium.keys(ESCAPE)
    it.chromium.keys("j")
    first = wait_for("the first block", lambda: it.chromium.run(place))
    it.chromium.keys("j")
    wait_for("the next block", lambda: it.chromium.run(place) != first)


def the_other_keys_of_the_list_do_what_it_says(it):
    it.open()
    focused = "return document.activeElement.id"
    for key, field in (("r", "reader"), ("s", "to")):
        it.chromium.keys(key)
        assert it.chromium.run(focused) == field, f"`{key}` leads to {it.chromium.run(focused)}"
        it.chromium.keys("?")
        help_open = "return document.getElementById('help').matches(':popover-open')"
        assert not it.chromium.run(help_open), "a letter typed into a field is only that"
        it.chromium.keys(ESCAPE)
        assert it.chromium.run(focused) != field, f"Escape stays in {field}"
        it.chromium.run("document.getElementById(arguments[0]).value = ''", field)
    place = "return document.getElementById('place-text').innerText"
    it.chromium.keys("j")
    first = wait_for("the first block", lambda: it.chromium.run(place))
    it.chromium.keys("j")
    wait_for("the second block", lambda: it.chromium.run(place) not in ("", first))
    it.chromium.keys("k")
    wait_for("the first block again", lambda: it.chromium.run(place) == first)
    it.chromium.keys("y")
    copied = "return document.getElementById('copy').innerText"
    wait_for("the place is copied", lambda: it.chromium.run(copied) == "Copied")
    it.chromium.run(
        "document.getElementById('open').addEventListener('click', (event) => "
        "{ event.preventDefault(); window.opened = event.target.href; }, { once: true })"
    )
    it.chromium.keys("e")
    opened = wait_for("the editor is asked", lambda: it.chromium.run("return window.opened"))
    line_and_column = ":".join(first.split(":")[-2:])
    assert opened.endswith(line_and_column), f"{opened} is not {first}"
    it.chromium.keys(ESCAPE)
    assert it.chromium.run("return document.getElementById('place').hidden"), "Escape lets go"
    it.follow("t", lambda: "show=text" in it.chromium.url())
    it.follow("m", lambda: "show" not in it.chromium.url())


def a_place_is_never_that_of_an_older_text(it):
    it.open()
    place = "return document.getElementById('place-text').innerText"
    hidden = "return document.getElementById('place').hidden"
    it.chromium.keys("j")
    chosen = wait_for("a place", lambda: it.chromium.run(place))
    it.follow("d", lambda: "scheme=dark" in it.chromium.url())
    wait_for("the same place in another look", lambda: it.chromium.run(place) == chosen)
    assert it.mail("return !!mail.querySelector('.pr-chosen')"), "the block is marked again"
    it.save(ISSUE.replace("Dear ", "A line of its own.\n\nDear "))
    wait_for("the new words", lambda: "A line of its own" in it.mail("return mail.body.innerText"))
    wait_for("the place goes with the old text", lambda: it.chromium.run(hidden))
    it.save(ISSUE)
    wait_for("the old words", lambda: "of its own" not in it.mail("return mail.body.innerText"))


def an_error_leaves_the_keys_working_and_the_page_says_so_in_its_title(it):
    it.open()
    it.save(BROKEN)
    overlay = "const o = document.getElementById('overlay'); return o.hidden ? '' : o.innerText"
    wait_for("the error", lambda: "unknown-field" in it.chromium.run(overlay))
    assert it.chromium.run("return document.title").startswith("\u2715")
    it.follow("d", lambda: "scheme=dark" in it.chromium.url())
    assert "unknown-field" in it.chromium.run(overlay), "another look keeps the error in sight"
    assert "three billion" in it.mail("return mail.body.innerText")
    it.chromium.open(it.chromium.url())
    assert "unknown-field" in it.chromium.run(overlay), "and so does a reload"
    it.settled()
    it.save(ISSUE)
    wait_for("the end of the error", lambda: not it.chromium.run(overlay))


def a_finger_on_a_phone_names_the_line_of_a_block(it):
    it.open(width=375, height=740)
    spot = it.mail(
        "const p = [...mail.querySelectorAll('p')].find((e) => e.innerText.includes('made anew'));"
        "p.scrollIntoView({ block: 'center' });"
        "const frame = document.getElementById('frame'), at = frame.getBoundingClientRect();"
        "const scale = at.width / frame.offsetWidth, box = p.getBoundingClientRect();"
        "return [at.left + (box.left + 24) * scale, at.top + (box.top + 12) * scale];"
    )
    it.chromium.tap(*spot)
    place = "return document.getElementById('place-text').innerText"
    line = ISSUE.split("\n").index(next(l for l in ISSUE.split("\n") if "made anew" in l)) + 1
    wait_for("the place", lambda: f"issue.md:{line}:" in it.chromium.run(place))
    bar = it.chromium.run(
        "const bar = document.getElementById('place').getBoundingClientRect();"
        "return [bar.left, bar.top, bar.right, bar.bottom, document.documentElement.clientWidth, innerHeight]"
    )
    left, top, right, bottom, wide, high = bar
    assert 0 <= left and right <= wide and 0 <= top and bottom <= high, f"the place is out of sight: {bar}"
    it.shot("place-phone")


def a_reader_is_found_and_shown(it):
    it.open()
    it.chromium.run("document.getElementById('reader').focus()")
    it.chromium.keys("named@")
    offered = "return [...document.querySelectorAll('#readers option')].map((o) => o.value)"
    wait_for("the address", lambda: it.chromium.run(offered) == ["named@example.org"])
    it.chromium.keys("example.org" + ENTER)
    wait_for("the reader's look", lambda: "reader=named" in it.chromium.url())
    it.settled()
    wait_for("the name", lambda: "Dear <Zo\u00eb>" in it.mail("return mail.body.innerText"))


def a_test_is_sent_from_the_page(it):
    it.open("?reader=named@example.org")
    it.chromium.run("document.getElementById('to').focus()")
    it.chromium.keys("author@example.net" + ENTER)
    tested = "return document.getElementById('tested').innerText"
    wait_for("the result", lambda: "author@example.net" in it.chromium.run(tested))
    assert "sent" in it.chromium.run(tested), it.chromium.run(tested)
    mail = it.it.mail_to("author@example.net", "[TEST]")
    assert str(mail["Subject"]).startswith("[TEST] Hello <Zo\u00eb>"), mail["Subject"]
    it.shot("tested")


def it_also_works_without_its_script(it):
    it.chromium.scripts(False)
    it.chromium.width(1200, 900)
    it.chromium.open(it.url + "/")
    link = "return document.getElementById('scheme-dark').href"
    it.chromium.open(it.chromium.run(link))
    chosen = "return document.getElementById('scheme-dark').getAttribute('aria-current')"
    assert it.chromium.run(chosen) == "true"
    it.chromium.scripts(True)


TESTS = [
    it_looks_right_at_every_width_in_both_schemes,
    the_keyboard_reaches_every_control,
    keys_change_the_look_and_the_address_keeps_it,
    the_edge_of_the_frame_moves_by_arrow_keys,
    a_save_changes_the_mail_and_an_error_keeps_it,
    many_of_its_pages_are_open_and_all_follow,
    what_is_typed_survives_a_save,
    a_click_on_a_block_names_its_line,
    the_other_keys_of_the_list_do_what_it_says,
    a_place_is_never_that_of_an_older_text,
    an_error_leaves_the_keys_working_and_the_page_says_so_in_its_title,
    a_finger_on_a_phone_names_the_line_of_a_block,
    a_reader_is_found_and_shown,
    a_test_is_sent_from_the_page,
    it_also_works_without_its_script,
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with world() as it, browser() as chromium:
        folder = it.news / "emails" / "issues" / SLUG
        (folder / "issue.md").write_text(ISSUE)
        source = it.news / "emails" / "issues" / "this-week-in-ai-research" / "lora.png"
        (folder / "chart.png").write_bytes(source.read_bytes())
        readers = it.folder / "named.csv"
        readers.write_text("email,first_name\nnamed@example.org,<Zo\u00eb>\n")
        it.run("subscribers", "import", readers, "--list", "weekly", "--consent", "made up for a test")
        port = free_port()
        editor = "editor://{file}:{line}:{column}"
        process = it.start(
            "preview", "--config", it.news / "pressrun.toml",
            "preview", SLUG, "--port", str(port), "--editor", editor,
        )  # fmt: skip
        try:
            wait_for("the preview listens", lambda: listens(port))
            preview = Preview(it, chromium, port)
            with urllib.request.urlopen(preview.url + "/state") as answer:
                state = json.load(answer)
            assert not state["broken"], state
            for test in TESTS:
                test(preview)
                print(f"test preview::{test.__name__} ... ok")
        finally:
            process.terminate()
            process.wait()
    print(f"test result: ok. {len(TESTS)} passed; 0 failed; 0 ignored; screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
