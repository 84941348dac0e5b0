// Follows a run on its page. Without this script the page says the same at the next load.
"use strict";
const live = document.getElementById("live");
const stale = document.getElementById("stale");
// Milliseconds between two tries of our own, where the browser makes none.
const FIRST = 2000;
const LAST = 60000;
// Milliseconds without a word after which the line is taken for dead: one comes each ten seconds at the least, and a
// connection that was dropped on the way, or a server that hangs, says nothing at all.
const QUIET = 25000;
let source = null;
let waits = FIRST;
let again = 0;
let quiet = 0;
let heard = new Date();

// The page may be the answer to a form that was refused. Loaded again it would send that form again: its own address
// stands in its place.
if (live && location.pathname !== live.dataset.page) history.replaceState(null, "", live.dataset.page);

if (live && live.dataset.over === "no") {
  // A browser keeps six connections to a site, and each stream holds one: pages that nobody sees have none.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : follow()));
  if (!document.hidden) follow();
}

function stop() {
  clearTimeout(again);
  clearTimeout(quiet);
  if (source) source.close();
  source = null;
}

function follow() {
  stop();
  const stream = new EventSource(live.dataset.stream);
  source = stream;
  stream.addEventListener("run", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("error", () => lost(stream));
  listen();
}

function listen() {
  clearTimeout(quiet);
  quiet = setTimeout(() => {
    say("it is asked for again");
    follow();
  }, QUIET);
}

function isTyping() {
  return Boolean(document.activeElement && document.activeElement.matches("input"));
}

function show(now) {
  heard = new Date();
  waits = FIRST;
  live.classList.remove("old");
  listen();
  if (now.over) stop();
  // Another status has other buttons, so the whole page is made anew; whoever is typing is told instead.
  const other = now.status !== live.dataset.status;
  if (other && !isTyping()) {
    stop();
    location.replace(live.dataset.page);
    return;
  }
  if (other) tell(`It is ${now.status} now, and the buttons here are of before: load the page again.`);
  else stale.hidden = true;
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
  live.classList.add("old");
  tell(`No news since ${time}, what stands here is of then: ${what}.`);
}

function tell(text) {
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
