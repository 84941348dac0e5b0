// The page without its reloads: controls and saves change what they must and leave the rest.
// Everything here also works as plain links and forms; only the place of a block needs this script.
'use strict';

const byId = (id) => document.getElementById(id);
let latest = 0;
let places = { version: '', list: [] };
let chosen = null;
// Of which version the chosen block is, and its number there.
let chosenAt = null;

// ---- The page follows the server ----------------------------------------------------------------

async function show(url, request) {
  const ticket = ++latest;
  let next, address;
  try {
    const answer = await fetch(url, request);
    const text = await answer.text();
    if (!answer.ok) return failed(text);
    address = answer.url;
    next = new DOMParser().parseFromString(text, 'text/html');
  } catch (error) {
    return failed('no answer: is the preview still running?');
  }
  if (ticket !== latest) return;
  history.replaceState(null, '', address);
  swap(next);
}

// Says why, and lets a test be asked for again.
function failed(why) {
  live(why);
  if (!byId('send')) return;
  byId('send').disabled = false;
  byId('sending').textContent = '';
}

function swap(next) {
  const focused = document.activeElement && document.activeElement.id;
  const typed = [...document.querySelectorAll('input[id]')]
    .filter((input) => input.value !== input.defaultValue)
    .map((input) => [input.id, input.defaultValue, input.value]);
  const open = new Map([...document.querySelectorAll('details[id]')].map((d) => [d.id, d.open]));
  document.title = next.title;
  document.documentElement.dataset.version = next.documentElement.dataset.version;
  document.body.className = next.body.className;
  // A first good compile brings parts that were not there.
  if (!byId('controls') !== !next.getElementById('controls')) {
    location.reload();
    return;
  }
  for (const part of next.querySelectorAll('[data-part]')) {
    const old = byId(part.id);
    if (part.id === 'show') swapStage(old, part);
    else old.replaceWith(document.adoptNode(part));
  }
  for (const [id, value] of open) if (byId(id)) byId(id).open = value;
  // What is typed stays, unless the server says something else there now, as it does of what was sent.
  for (const [id, before, value] of typed) {
    const field = byId(id);
    if (field && (field.defaultValue === before || id === focused)) field.value = value;
  }
  if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
  ready();
}

// A mail is changed behind the scenes and shown when it has loaded: no white flash, no lost scroll.
function swapStage(old, part) {
  const [was, will] = [old.querySelector('iframe'), part.querySelector('iframe')];
  if (!was || !will) {
    old.replaceWith(document.adoptNode(part));
    return;
  }
  const source = will.getAttribute('src');
  const note = old.querySelector('#note');
  const nextNote = part.querySelector('#note');
  if (note) note.remove();
  if (nextNote) old.prepend(document.adoptNode(nextNote));
  for (const other of old.querySelectorAll('iframe:not(#frame)')) other.remove();
  const width = will.getAttribute('width');
  byId('device').toggleAttribute('data-full', !width);
  if (was.getAttribute('src') === source) {
    setWidth(width ? Number(width) : null);
    return;
  }
  const fresh = document.createElement('iframe');
  for (const { name, value } of will.attributes) if (name !== 'id') fresh.setAttribute(name, value);
  fresh.className = 'coming';
  fresh.addEventListener('load', () => {
    const scroll = byId('stage').scrollTop;
    was.remove();
    fresh.id = 'frame';
    fresh.className = '';
    fresh.dataset.ready = '';
    setWidth(width ? Number(width) : null);
    loaded();
    byId('stage').scrollTop = scroll;
  }, { once: true });
  was.after(fresh);
}

function live(text) {
  const element = byId('live');
  if (element) element.textContent = text;
}

// A browser has six connections for one host, and each stream keeps one for as long as it lasts. So the pages that
// can be seen share the stream of one of them, and those that cannot be seen have none.
const pages = new BroadcastChannel('pressrun-preview');
let leave = null;
// Whether the stream is open, and what it told last.
let heard = { open: false, version: null };

function tell(news) {
  heard = { ...heard, ...news };
  const { open, version } = heard;
  if (!leave) return;
  if (!open) live('waiting for the preview');
  else if (document.body.className !== 'broken') live('live');
  if (version && version !== document.documentElement.dataset.version) show(location.href);
}

// Reads the stream and tells the others, until it is told to leave.
function lead(left) {
  if (left.aborted) return undefined;
  const events = new EventSource('/events');
  const spread = (news) => {
    tell(news);
    pages.postMessage(heard);
  };
  const answer = (event) => event.data === 'ask' && pages.postMessage(heard);
  events.addEventListener('shown', (event) => spread({ version: JSON.parse(event.data).version }));
  events.addEventListener('error', () => spread({ open: false }));
  events.addEventListener('open', () => spread({ open: true }));
  pages.addEventListener('message', answer);
  return new Promise((done) => left.addEventListener('abort', () => {
    events.close();
    pages.removeEventListener('message', answer);
    done();
  }, { once: true }));
}

function listen() {
  if (leave || document.hidden) return;
  leave = new AbortController();
  const left = leave.signal;
  // Where the page has no locks (it came by another name than 127.0.0.1), it reads by itself.
  if (!navigator.locks) {
    lead(left);
    return;
  }
  navigator.locks.request('pressrun-preview', { signal: left }, () => lead(left)).catch(() => {});
  pages.postMessage('ask');
}

function rest() {
  if (leave) leave.abort();
  leave = null;
}

pages.addEventListener('message', (event) => event.data !== 'ask' && tell(event.data));
addEventListener('pagehide', rest);
addEventListener('pageshow', listen);
document.addEventListener('visibilitychange', () => (document.hidden ? rest() : listen()));

// ---- Controls -----------------------------------------------------------------------------------

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href]');
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!link.getAttribute('href').startsWith('/')) return;
  event.preventDefault();
  show(link.href);
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  if (form.method === 'post') {
    byId('sending').textContent = 'sending…';
    byId('send').disabled = true;
    show(form.action, { method: 'POST', body: fields });
    return;
  }
  for (const [name, value] of [...fields]) if (!value) fields.delete(name);
  show(`/?${fields}`);
});

document.addEventListener('input', async (event) => {
  if (event.target.id === 'free' && event.target.validity.valid) setWidth(event.target.valueAsNumber);
  if (event.target.id !== 'reader') return;
  const start = event.target.value;
  const answer = await fetch(`/readers?q=${encodeURIComponent(start)}`);
  if (!answer.ok || byId('reader').value !== start) return;
  const options = (await answer.json()).map((address) => {
    const option = document.createElement('option');
    option.value = address;
    return option;
  });
  byId('readers').replaceChildren(...options);
});

document.addEventListener('change', (event) => {
  if (event.target.id === 'free') event.target.form.requestSubmit();
});

document.addEventListener('keydown', keys);
function keys(event) {
  const field = event.target.closest && event.target.closest('input, textarea, select');
  if (event.ctrlKey || event.metaKey || event.altKey || (field && event.key !== 'Escape')) return;
  const act = {
    '?': () => byId('help').togglePopover(),
    Escape: () => (field ? field.blur() : choose(null)),
    j: () => step(1),
    k: () => step(-1),
    y: () => copy(),
    e: () => byId('open').hidden || byId('open').click(),
    r: () => reveal('reader'),
    s: () => reveal('to'),
  }[event.key];
  const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
  if (!act && !link) return;
  event.preventDefault();
  if (act) act();
  else show(link.href);
}

function reveal(id) {
  const field = byId(id);
  if (!field) return;
  field.closest('details').open = true;
  field.focus();
}

// ---- The frame ----------------------------------------------------------------------------------

function inside() {
  const frame = byId('frame');
  return frame && frame.contentDocument;
}

function setWidth(pixels) {
  const [frame, device] = [byId('frame'), byId('device')];
  if (!frame) return;
  device.toggleAttribute('data-full', pixels === null);
  if (pixels === null) frame.removeAttribute('width');
  else frame.setAttribute('width', pixels);
  if (pixels !== null) byId('handle').setAttribute('aria-valuenow', pixels);
  fit();
}

// As high as the mail, and on a small screen as small as it must be.
function fit() {
  const [frame, device, stage] = [byId('frame'), byId('device'), byId('stage')];
  const mail = inside();
  if (!mail || !mail.documentElement) return;
  const style = getComputedStyle(stage);
  const room = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 2;
  const full = device.hasAttribute('data-full');
  const width = full ? room - 16 : Number(frame.getAttribute('width'));
  const scale = Math.min(1, room / width);
  frame.style.width = `${width}px`;
  frame.style.height = '0';
  const height = Math.max(mail.documentElement.scrollHeight, 200);
  frame.style.height = `${height}px`;
  frame.style.transform = scale < 1 ? `scale(${scale})` : '';
  device.style.width = `${Math.ceil(width * scale)}px`;
  device.style.height = `${Math.ceil(height * scale)}px`;
  byId('handle').hidden = scale < 1;
  byId('scale').hidden = scale === 1;
  byId('scale').textContent = `${width} px, shown at ${Math.round(scale * 100)} %`;
}

function loaded() {
  const mail = inside();
  if (!mail) return;
  mail.addEventListener('click', (event) => {
    const link = event.target.closest('a[href]');
    event.preventDefault();
    choose(blockOf(event.target), link);
  });
  mail.addEventListener('mouseover', (event) => {
    for (const marked of mail.querySelectorAll('.pr-here')) marked.classList.remove('pr-here');
    const block = blockOf(event.target);
    if (block) block.classList.add('pr-here');
  });
  mail.addEventListener('keydown', keys);
  // The frame is as high as the mail: a bar beside it would only make the mail narrower.
  mail.documentElement.style.scrollbarWidth = 'none';
  fit();
  if (!chosenAt) return;
  // Another look at the same text has the block, too; in a newer text it may stand elsewhere.
  const same = chosenAt.version === document.documentElement.dataset.version;
  choose(same ? mail.querySelector(`.pr-at-${chosenAt.number}`) : null);
}

function numberOf(element) {
  const mark = [...element.classList].find((name) => /^pr-at-\d+$/.test(name));
  return mark ? Number(mark.slice(6)) : null;
}

function blockOf(element) {
  return element.closest && element.closest('[class*="pr-at-"]');
}

function step(by) {
  const mail = inside();
  if (!mail) return;
  const all = [...mail.querySelectorAll('[class*="pr-at-"]')];
  if (!all.length) return;
  const at = all.indexOf(chosen);
  choose(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length]);
  chosen.scrollIntoView({ block: 'nearest' });
}

async function choose(block, link) {
  const mail = inside();
  if (mail) for (const marked of mail.querySelectorAll('.pr-chosen')) marked.classList.remove('pr-chosen');
  chosen = block;
  chosenAt = block && { version: document.documentElement.dataset.version, number: numberOf(block) };
  const bar = byId('place');
  bar.hidden = !block && !link;
  byId('link').hidden = !link;
  byId('link').textContent = link ? `→ ${link.getAttribute('href')}` : '';
  byId('place-text').textContent = '';
  byId('copy').hidden = true;
  byId('open').hidden = true;
  byId('drawn').hidden = true;
  if (!block) return;
  block.classList.add('pr-chosen');
  const version = document.documentElement.dataset.version;
  if (places.version !== version) {
    const state = await (await fetch('/state')).json();
    places = { version: state.version, list: state.places || [] };
  }
  const place = places.list[numberOf(block)];
  if (!place || chosen !== block) return;
  byId('place-text').textContent = `${place.file}:${place.line}:${place.column}`;
  byId('copy').hidden = false;
  byId('copy').textContent = 'Copy';
  offer(byId('open'), place.href);
  if (!place.drawn) return;
  byId('drawn').hidden = false;
  byId('drawn-text').textContent = `${place.drawn.file}:${place.drawn.line}:${place.drawn.column}`;
  offer(byId('open-drawn'), place.drawn.href);
}

// The link that opens a place, where there is an editor for it.
function offer(link, href) {
  link.hidden = !href;
  if (href) link.href = href;
}

async function copy() {
  const text = byId('place-text').textContent;
  if (!text) return;
  await navigator.clipboard.writeText(text).catch(() => getSelection().selectAllChildren(byId('place-text')));
  byId('copy').textContent = 'Copied';
}
byId('copy').addEventListener('click', copy);

// Any width: drag the edge, or move it with the arrow keys.
function handle() {
  const edge = byId('handle');
  if (!edge || edge.dataset.ready) return;
  edge.dataset.ready = '';
  edge.hidden = false;
  const settle = () => {
    byId('free').value = byId('frame').getAttribute('width');
    byId('free').form.requestSubmit();
  };
  const limit = (pixels) => Math.round(Math.min(1600, Math.max(200, pixels)));
  edge.addEventListener('pointerdown', (event) => {
    edge.setPointerCapture(event.pointerId);
    const [from, width] = [event.clientX, byId('frame').offsetWidth];
    // The frame stands in the middle: its edge follows when it grows twice as fast.
    const move = (now) => setWidth(limit(width + 2 * (now.clientX - from)));
    edge.addEventListener('pointermove', move);
    edge.addEventListener('pointerup', () => {
      edge.removeEventListener('pointermove', move);
      settle();
    }, { once: true });
  });
  edge.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
    if (!by) return;
    event.preventDefault();
    setWidth(limit(byId('frame').offsetWidth + by));
    settle();
  });
}

function ready() {
  handle();
  if (heard.open && document.body.className !== 'broken') live('live');
  const frame = byId('frame');
  if (frame && !frame.dataset.ready) {
    frame.dataset.ready = '';
    frame.addEventListener('load', loaded);
    if (inside() && inside().readyState === 'complete' && inside().URL !== 'about:blank') loaded();
  }
  fit();
}

addEventListener('resize', fit);
ready();
listen();
