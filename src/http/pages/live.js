// Follows a run on its page. Without this script the page says the same at the next load.
"use strict";
const live = document.getElementById("live");
const stale = document.getElementById("stale");
// Milliseconds between two tries of our own, where the browser makes none.
const FIRST = 2000;
const LAST = 60000;
let source = null;
let waits = FIRST;
let again = 0;
let heard = new Date();

if (live && live.dataset.over === "no") {
  // A browser keeps six connections to a site, and each stream holds one: pages that nobody sees have none.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : follow()));
  if (!document.hidden) follow();
}

function stop() {
  clearTimeout(again);
  if (source) source.close();
  source = null;
}

function follow() {
  stop();
  const stream = new EventSource(live.dataset.stream);
  source = stream;
  stream.addEventListener("run", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("error", () => lost(stream));
}

function show(now) {
  heard = new Date();
  waits = FIRST;
  stale.hidden = true;
  live.classList.remove("old");
  if (now.over) stop();
  // Another status has other buttons, so the whole page is made anew, unless somebody is typing.
  const typing = document.activeElement && document.activeElement.matches("input");
  if (now.status !== live.dataset.status && !typing) {
    stop();
    location.reload();
    return;
  }
  // Whoever stands on a link of it stands there still.
  const link = live.contains(document.activeElement) && document.activeElement.getAttribute("href");
  // Made by our own templates, which escape every text from outside.
  live.innerHTML = now.html;
  const same = link && Array.from(live.querySelectorAll("a")).find((a) => a.getAttribute("href") === link);
  if (same) same.focus({ preventScroll: true });
  // Whoever hears the page is told at each tenth, not each second.
  if (String(now.step) !== live.dataset.step) {
    live.dataset.step = String(now.step);
    document.getElementById("told").textContent = now.says;
  }
}

function lost(stream) {
  if (stream !== source) return;
  say("it is asked for again");
  // After an answer that is no stream the browser gives up.
  if (stream.readyState !== EventSource.CLOSED) return;
  stop();
  again = setTimeout(async () => {
    if (await isSignedOut()) {
      say("this browser is signed out: load the page again");
      return;
    }
    follow();
  }, waits);
  waits = Math.min(2 * waits, LAST);
}

function say(what) {
  const time = heard.toTimeString().slice(0, 5);
  const text = `No news since ${time}, what stands here is of then: ${what}.`;
  live.classList.add("old");
  if (stale.textContent !== text) stale.textContent = text;
  stale.hidden = false;
}

async function isSignedOut() {
  try {
    // Whoever is not signed in is told so, and led nowhere.
    const headers = { accept: "text/event-stream" };
    return (await fetch(live.dataset.signed, { headers })).status === 401;
  } catch {
    return false;
  }
}
