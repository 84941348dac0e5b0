// Compares what npm mjml 5.4 and Pressrun make of the same MJML, as Chromium shows it.
//
//     node compare.mjs WORK [--only PATTERN] [--against npm4]
//
// Promises: every file of the corpus, and every example of MJML's documentation, is judged by its dots at 600
// and 375 px, its text, its alt texts and its links; where it has switches (navbar, accordion, carousel), by
// its dots with all of them switched as well. A difference that known.txt does not name fails, and so does a
// line of known.txt that is no longer true.

import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { start } from "./chromium.mjs";
import { examples } from "./examples.mjs";
import { release } from "./npm.mjs";
import { decode, difference, drawn, encode } from "./picture.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const WIDTHS = [600, 375];
const GOAL = 0.98;

const [work, ...rest] = process.argv.slice(2);
const only = option("--only");
const against = option("--against");
const binary = process.env.PRESSRUN_BINARY;

function option(name) {
  const at = rest.indexOf(name);
  return at < 0 ? undefined : rest[at + 1];
}

// ---- What is compared ----------------------------------------------------------------------------

function corpus() {
  const files = readdirSync(HERE, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile() && file.name.endsWith(".mjml"))
    .map((file) => relative(HERE, join(file.parentPath ?? file.path, file.name)))
    // A folder `parts` holds what others include, `errors` what does not compile.
    .filter((name) => !/(^|\/)(parts|errors)\//.test(name))
    .sort()
    .map((name) => ({ name, file: join(HERE, name), level: name.startsWith("soft/") ? "soft" : "strict" }));
}

function documentation() {
  const folder = join(work, "documentation");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { found, left } = examples(join(work, "npm5", "node_modules"));
  const cases = found.map(({ name, text }) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return { name: `documentation/${name}`, file, level: "soft", borrowed: true };
  });
  return { cases, left };
}

/// `file what: reason` by line; `what` is one of the columns, or several with commas.
function known() {
  const found = new Map();
  for (const line of readFileSync(join(HERE, "known.txt"), "utf8").split("\n")) {
    if (!line.trim() || line.startsWith("#")) continue;
    const parts = /^(\S+) (\S+): (.+)$/.exec(line);
    if (!parts) throw new Error(`known.txt: cannot read \`${line}\``);
    for (const what of parts[2].split(",")) found.set(`${parts[1]} ${what}`, parts[3]);
  }
  return found;
}

// ---- Compiling -----------------------------------------------------------------------------------

function pressrun({ file, level }) {
  return new Promise((resolve, reject) => {
    const limits = { maxBuffer: 64 << 20, timeout: 60_000 };
    execFile(binary, ["mjml", file, "--validate", level], limits, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim() || error.message));
      else resolve(stdout);
    });
  });
}

async function compiled(compile) {
  try {
    return { html: await compile() };
  } catch (error) {
    return { html: null, error: error.message };
  }
}

async function inParallel(items, act) {
  const queue = [...items];
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let item = queue.shift(); item; item = queue.shift()) await act(item);
  });
  await Promise.all(workers);
}

// ---- Looking -------------------------------------------------------------------------------------

// Lines without blanks at their ends, without empty lines; whether two words touch is kept.
const READ = `(() => {
  const lines = (text) => text.split("\\n").map((line) => line.replace(/[\\s\\u00a0]+/g, " ").trim()).filter(Boolean);
  const root = document.documentElement;
  const hidden = document.body.cloneNode(true);
  hidden.querySelectorAll("style, script").forEach((found) => found.remove());
  const all = (selector, ...names) => [...document.querySelectorAll(selector)].map((found) =>
    names.map((name) => found.getAttribute(name) ?? "-").join(" "));
  return {
    text: [document.title, root.lang, root.dir, ...lines(document.body.innerText), "",
           // Hidden text as well, such as the preview; blanks between blocks are nobody's.
           hidden.textContent.replace(/\\s+/g, "")].join("\\n"),
    alt: all("img", "alt", "title").join("\\n"),
    href: [...all("[href]", "href", "target", "rel", "title", "name"), ...all("img", "src", "srcset", "sizes", "usemap")].join("\\n"),
    switches: document.querySelectorAll("input").length,
  };
})()`;

const SWITCH = `for (const input of document.querySelectorAll("input")) input.checked = true`;

// What Outlook would see: its comments opened, what is kept from it gone. Chromium knows no VML, so of that
// the attributes are listed.
function forOutlook(html) {
  return html
    .replace(/<!--\[if !mso[^\]]*\]><!(?:--)?(?: ?--)?>[\s\S]*?<!--<!\[endif\]-->/g, "")
    .replace(/<!--\[if lte mso 11\]>[\s\S]*?<!\[endif\]-->/g, "")
    .replace(/<!--\[if ([^\]]*)\]>([\s\S]*?)<!\[endif\]-->/g, (all, condition, inside) => (/mso|IE/.test(condition) ? inside : all));
}

const VML = `[...document.querySelectorAll("*")].filter((found) => found.localName.includes(":")).map((found) =>
  found.localName + [...found.attributes].map((a) => " " + a.name + "=" + a.value.replace(/\\s/g, "")).sort().join("")).join("\\n")`;

async function look(page, side, test) {
  const url = `http://corpus.test/${side}/${test.name.split("/").map(encodeURIComponent).join("/")}`;
  const pictures = {};
  let read;
  for (const width of WIDTHS) {
    await page.open(url, width);
    pictures[width] = await page.picture();
    read ??= await page.run(READ);
    if (read.switches && width === 375) {
      await page.run(SWITCH);
      pictures.switched = await page.picture();
    }
  }
  await page.open(url.replace("corpus.test/", "corpus.test/outlook/"), 700);
  pictures.outlook = await page.picture();
  return { ...read, vml: await page.run(VML), pictures };
}

// What a page looks like depends on its bytes, on Chromium, on the fonts and on these files only. So what was
// seen is kept from run to run: the lists, and of the pictures their digests.
function environment() {
  const said = (command, ...rest) => execFileSync(command, rest, { encoding: "utf8" });
  const sources = ["chromium.mjs", "compare.mjs", "picture.mjs"].map((name) => readFileSync(join(HERE, name), "utf8"));
  return digest([said("chromium", "--version"), said("fc-list").split("\n").sort().join("\n"), ...sources].join("\n"));
}

function digest(data) {
  return createHash("sha256").update(data).digest("hex");
}

// The digests of a page's pictures and what can be read on it, without looking if it was seen before.
async function sight(page, side, test) {
  const path = join(seenBefore, `${digest(test[side].html)}.json`);
  if (existsSync(path) && !only) return JSON.parse(readFileSync(path, "utf8"));
  const seen = await look(page, side, test);
  const digests = Object.fromEntries(Object.entries(seen.pictures).map(([what, png]) => [what, digest(png)]));
  writeFileSync(path, JSON.stringify({ ...seen, pictures: undefined, digests }));
  return { ...seen, digests };
}

const html = new Map();

// Every font that the network would have brought is one that cannot be mistaken for the fallback.
function answer(url) {
  const { protocol, hostname, pathname } = new URL(url);
  if (protocol === "about:" || protocol === "data:") return null;
  if (hostname === "corpus.test") {
    const found = html.get(decodeURIComponent(pathname.slice(1)));
    return found === undefined ? null : { type: "text/html; charset=utf-8", body: found };
  }
  if (/css|font/.test(hostname + pathname)) {
    const families = [...url.matchAll(/family=([^:&|]+)/g)].map((family) => decodeURIComponent(family[1]).replace(/\+/g, " "));
    const faces = families.map((name) => `@font-face { font-family: "${name}"; src: local("Liberation Serif") }`);
    return { type: "text/css", body: faces.join("\n") };
  }
  return { type: "image/png", body: drawn(url) };
}

// ---- Judging -------------------------------------------------------------------------------------

async function compare(pages, test) {
  test.seen = {};
  for (const side of ["npm", "ours"]) {
    html.set(`${side}/${test.name}`, test[side].html);
    html.set(`outlook/${side}/${test.name}`, forOutlook(test[side].html));
  }
  let [npm, ours] = await Promise.all([sight(pages[0], "npm", test), sight(pages[1], "ours", test)]);
  for (const what of ["text", "alt", "href", "vml"]) {
    test.seen[what] = npm[what] === ours[what] ? null : listed(npm[what], ours[what]);
  }
  const shown = new Set([...Object.keys(npm.digests), ...Object.keys(ours.digests)]);
  if (only || [...shown].some((what) => npm.digests[what] !== ours.digests[what])) {
    const again = (seen, page, side) => (seen.pictures ? seen : look(page, side, test));
    [npm, ours] = await Promise.all([again(npm, pages[0], "npm"), again(ours, pages[1], "ours")]);
    for (const what of shown) {
      const [a, b] = [npm.pictures[what], ours.pictures[what]];
      test.seen[what] = a && b ? dots(test, what, a, b) : "switches on one side only";
    }
  } else {
    for (const what of shown) test.seen[what] = null;
  }
}

function dots(test, what, npm, ours) {
  const found = npm.equals(ours) ? { dots: 0 } : difference(decode(npm), decode(ours));
  if (found.dots || only) keep(test, what, { npm, ours, diff: found.dots ? encode(found.picture) : undefined });
  if (!found.dots) return null;
  test.weight = Math.max(test.weight ?? 0, found.dots / found.of);
  return `${found.dots} dots, ${((100 * found.dots) / found.of).toFixed(2)} %`;
}

function keep(test, what, pictures) {
  for (const [side, png] of Object.entries(pictures)) {
    const path = join(work, "pictures", `${test.name.replace(/\.mjml$/, "")}.${what}.${side}.png`);
    mkdirSync(dirname(path), { recursive: true });
    if (png) writeFileSync(path, png);
  }
}

// The first line in which two lists part.
function listed(npm, ours) {
  const [a, b] = [npm.split("\n"), ours.split("\n")];
  const at = a.findIndex((line, i) => line !== b[i]);
  const shown = (line) => (line === undefined ? "nothing" : `\`${line.slice(0, 300)}\``);
  const i = at < 0 ? a.length : at;
  return `npm ${shown(a[i])}, here ${shown(b[i])}`;
}

// ---- Every attribute -----------------------------------------------------------------------------

function uncovered(npm5, tests) {
  const used = new Set();
  for (const { file } of tests) {
    const text = readFileSync(file, "utf8").replace(/<!--[\s\S]*?-->/g, "");
    for (const [, name, attributes] of text.matchAll(/<(mj-[a-z-]+)((?:\s+[a-z-]+="[^"]*")*)/g)) {
      used.add(name);
      for (const [, attribute] of attributes.matchAll(/\s([a-z-]+)="/g)) used.add(`${name} ${attribute}`);
    }
  }
  return npm5.attributes().filter((attribute) => !used.has(attribute));
}

// ---- The table -----------------------------------------------------------------------------------

const COLUMNS = ["600", "375", "switched", "text", "alt", "href", "outlook", "vml"];

function mark(test, what) {
  if (test.seen?.[what] === undefined) return what === "compiled" ? (test.ours.html === null ? "no" : "yes") : "";
  return test.seen[what] === null ? "same" : "DIFF";
}

function table(tests) {
  const wide = Math.max(...tests.map((test) => test.name.length));
  const line = (name, cells) => name.padEnd(wide) + cells.map((cell) => cell.padStart(10)).join("");
  const rows = tests.map((test) => line(test.name, ["compiled", ...COLUMNS].map((what) => mark(test, what))));
  return [line("file", ["compiled", ...COLUMNS]), ...rows].join("\n");
}

function groups(tests) {
  const rows = new Map();
  for (const test of tests) {
    const name = test.name.split("/")[0];
    const row = rows.get(name) ?? { files: 0, compiled: 0, same: {} };
    row.files++;
    if (test.ours.html !== null) row.compiled++;
    for (const what of COLUMNS) if (test.seen && !test.seen[what]) row.same[what] = (row.same[what] ?? 0) + 1;
    rows.set(name, row);
  }
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const head = ["group", "files", "compiled", ...COLUMNS];
  return [
    line(head),
    line(head.map(() => "---")),
    ...[...rows].map(([name, row]) => line([name, row.files, row.compiled, ...COLUMNS.map((what) => row.same[what] ?? 0)])),
  ].join("\n");
}

function verdict(tests, reasons) {
  const failures = [];
  for (const test of tests) {
    const wrong = [];
    const judge = (what, found) => {
      const reason = reasons.get(`${test.name} ${what}`);
      if (found && !reason) wrong.push(`${what}: ${found}`);
      if (!found && reason) wrong.push(`${what}: known.txt names a difference that is gone`);
    };
    judge("compiled", test.ours.html === null ? test.ours.error.split("\n").slice(0, 6).join("\n    ") : null);
    if (test.seen) for (const what of COLUMNS) judge(what, test.seen[what]);
    test.passed = wrong.length === 0;
    if (wrong.length) failures.push(`${test.name}\n  ${wrong.join("\n  ")}`);
  }
  return failures;
}

// ---- Main ----------------------------------------------------------------------------------------

const began = Date.now();
const surroundings = environment();
const seenBefore = join(work, "seen", surroundings.slice(0, 16));
for (const old of existsSync(dirname(seenBefore)) ? readdirSync(dirname(seenBefore)) : []) {
  if (!seenBefore.endsWith(old)) rmSync(join(dirname(seenBefore), old), { recursive: true });
}
mkdirSync(seenBefore, { recursive: true });
const npm5 = release(join(work, "npm5"));
const npm4 = release(join(work, "npm4"));
const ours = against === "npm4" ? (test) => npm4.compile(test.file, test.level) : pressrun;
const { cases, left } = documentation();
const own = corpus();
const tests = [...own, ...cases].filter((test) => !only || test.name.includes(only));
rmSync(join(work, "pictures"), { recursive: true, force: true });

const broken = [];
for (const test of tests) {
  test.npm = await compiled(() => npm5.compile(test.file, test.level));
  if (test.npm.html === null) broken.push(`${test.name}: npm mjml ${npm5.version}: ${test.npm.error}`);
  if (test.borrowed) continue;
  const older = await compiled(() => npm4.compile(test.file, test.level));
  if (older.html === null && !/(^|\/)only-5/.test(test.name)) broken.push(`${test.name}: npm mjml ${npm4.version}: ${older.error}`);
}
const compiledBy = Date.now();
await inParallel(tests, async (test) => {
  test.ours = await compiled(() => ours(test));
});
if (process.env.TIMES) console.error(`npm ${compiledBy - began} ms, ours ${Date.now() - compiledBy} ms`);
const valid = tests.filter((test) => test.npm.html !== null);
const browser = await start(answer);
try {
  // Two pairs of pages, so that one is drawn while the other is compared.
  const pairs = await Promise.all([0, 1].map(() => Promise.all([browser.page(), browser.page()])));
  const queue = valid.filter((test) => test.ours.html !== null);
  await Promise.all(pairs.map(async (pair) => {
    for (let test = queue.shift(); test; test = queue.shift()) await compare(pair, test);
  }));
} finally {
  await browser.stop();
}

const reasons = against ? new Map() : known();
const failures = verdict(valid, reasons);
const missing = only ? [] : uncovered(npm5, own);
for (const name of new Set([...reasons.keys()].map((key) => key.split(" ")[0]))) {
  if (!only && !tests.some((test) => test.name === name)) broken.push(`known.txt: there is no ${name}`);
}
const share = (what) => valid.filter((test) => test.seen && !test.seen[what]).length / valid.length;
const compiles = valid.filter((test) => test.ours.html !== null).length;

const report = [table(valid), "", groups(valid), ""];
if (failures.length) report.push("differences, unexpected:", "", failures.join("\n"), "");
if (broken.length) report.push("the corpus itself is wrong:", "", broken.join("\n"), "");
if (missing.length) report.push(`attributes in no file: ${missing.join(", ")}`, "");
report.push(
  `npm mjml ${npm5.version} and ${against === "npm4" ? npm4.version : "pressrun"}: ${own.length} files of our own, ${cases.length} examples (${left} without a document left out), in ${Math.round((Date.now() - began) / 1000)} s`,
  `compiled ${compiles} of ${valid.length}` + WIDTHS.map((width) => `, identical at ${width} px ${(100 * share(width)).toFixed(1)} %`).join(""),
);
const below = compiles < valid.length || WIDTHS.some((width) => share(width) < GOAL);
if (below && !only) report.push(`below the goal: all compile, ${100 * GOAL} % identical at both widths`);
const failed = failures.length + broken.length + missing.length;
report.push(`${valid.length - failures.length} passed, ${failed} failed`);
writeFileSync(join(work, "table.txt"), report.join("\n") + "\n");
writeFileSync(join(work, "table.json"), JSON.stringify(valid.map(({ name, seen, weight, ours }) => ({ name, seen, weight, error: ours.error })), null, 1));
console.log(report.join("\n"));
process.exitCode = failed || (below && !only) ? 1 : 0;
