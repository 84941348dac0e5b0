// Chromium over its own protocol through a pipe: no port, no driver, nothing to install.
//
// Promises pages that ask no host at all: every request is answered by the function given to `start`,
// so what a page shows depends on its own bytes only.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless=new",
  "--no-sandbox", // the tests run as root in containers, and look at our own pages only
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND",
  "--hide-scrollbars",
  "--force-device-scale-factor=1",
  "--font-render-hinting=none",
  "--disable-lcd-text",
  "--force-color-profile=srgb",
  "--remote-debugging-pipe",
];

const SETTLED = `(async () => {
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
})()`;

/// A browser whose requests are answered by `answer(url) -> { type, body } | null`.
export async function start(answer) {
  const profile = mkdtempSync(join(tmpdir(), "pressrun-chromium."));
  const child = spawn("chromium", [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const waiting = new Map();
  const listeners = new Map();
  let next = 1;
  let rest = Buffer.alloc(0);
  let ended = false;

  child.stdio[4].on("data", (chunk) => {
    rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      const message = JSON.parse(rest.subarray(0, end).toString());
      rest = rest.subarray(end + 1);
      if (message.id) {
        const { resolve, reject, method } = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error) reject(new Error(`${method}: ${message.error.message}`));
        else resolve(message.result);
      } else {
        listeners.get(message.sessionId)?.(message.method, message.params);
      }
    }
  });
  child.on("exit", () => {
    ended = true;
    for (const { reject, method } of waiting.values()) reject(new Error(`${method}: chromium ended`));
  });

  function send(method, params = {}, sessionId = undefined) {
    const id = next++;
    return new Promise((resolve, reject) => {
      if (ended) return reject(new Error(`${method}: chromium ended`));
      // No answer in a minute is a fault of the browser's, not a slow machine.
      const late = setTimeout(() => reject(new Error(`${method}: no answer from chromium in 60 s`)), 60_000);
      const settled = (act) => (value) => { clearTimeout(late); act(value); };
      waiting.set(id, { resolve: settled(resolve), reject: settled(reject), method });
      child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  async function page() {
    const { targetId } = await send("Target.createTarget", { url: "about:blank", newWindow: true });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const call = (method, params) => send(method, params, sessionId);
    let loaded = () => {};
    listeners.set(sessionId, (method, params) => {
      if (method === "Page.loadEventFired") loaded();
      if (method === "Fetch.requestPaused") {
        const { requestId, request } = params;
        // The page may have moved on meanwhile; then nobody waits for this answer.
        respond(call, requestId, answer(request.url)).catch(() => {});
      }
    });
    await call("Page.enable");
    await call("Fetch.enable", { patterns: [{ urlPattern: "*" }] });
    await call("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-reduced-motion", value: "reduce" }],
    });

    /// Opens `url` at a width and waits until everything on it is there.
    async function open(url, width) {
      const metrics = { width, height: 100, deviceScaleFactor: 1, mobile: false };
      await call("Emulation.setDeviceMetricsOverride", metrics);
      let timer;
      const done = new Promise((resolve, reject) => {
        loaded = resolve;
        timer = setTimeout(() => reject(new Error(`${url} did not load in 30 s`)), 30_000);
      });
      await call("Page.navigate", { url });
      await done;
      clearTimeout(timer);
      await run(SETTLED);
    }

    /// The value of an expression in the page.
    async function run(expression) {
      const asked = { expression, returnByValue: true, awaitPromise: true };
      const { result, exceptionDetails } = await call("Runtime.evaluate", asked);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    }

    /// The whole page as a PNG.
    async function picture() {
      const { cssContentSize } = await call("Page.getLayoutMetrics");
      const clip = { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 };
      const asked = { format: "png", clip, captureBeyondViewport: true, optimizeForSpeed: true };
      const { data } = await call("Page.captureScreenshot", asked);
      return Buffer.from(data, "base64");
    }

    return { open, run, picture };
  }

  async function stop() {
    const gone = new Promise((done) => child.once("exit", done));
    if (!ended) {
      send("Browser.close").catch(() => {});
      const hurry = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await gone;
      clearTimeout(hurry);
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }

  return { page, stop };
}

function respond(call, requestId, answer) {
  if (!answer) return call("Fetch.failRequest", { requestId, errorReason: "NameNotResolved" });
  return call("Fetch.fulfillRequest", {
    requestId,
    responseCode: 200,
    responseHeaders: [
      { name: "Content-Type", value: answer.type },
      { name: "Access-Control-Allow-Origin", value: "*" }, // style sheets and fonts are asked across hosts
    ],
    body: Buffer.from(answer.body).toString("base64"),
  });
}
