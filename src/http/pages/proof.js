// The proof of work of the subscribe form: finds a number n so that SHA-256 of "form.n" begins with enough
// zero bits, in small portions, so that the page stays alive. Nothing is asked of any other host.
"use strict";
(() => {
  const form = document.querySelector("form[data-bits]");
  if (!form) return;
  const bits = Number(form.dataset.bits);
  const token = form.elements.form.value;
  const button = form.querySelector("button");
  const status = document.getElementById("work");

  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => Math.floor((x - Math.floor(x)) * 4294967296) | 0;
  const K = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
  const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
  const W = new Int32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));

  const block = (state) => {
    for (let i = 16; i < 64; i++) {
      const a = W[i - 15], b = W[i - 2];
      W[i] = (W[i - 16] + W[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3))
        + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const t = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
      const u = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + t) | 0; d = c; c = b; b = a; a = (t + u) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => { state[i] = (state[i] + x) | 0; });
  };

  // Leading zero bits of the hash of an ASCII text, up to 32.
  const zeros = (text) => {
    const octets = new Uint8Array(((text.length + 8) >> 6) * 64 + 64);
    for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
    octets[text.length] = 128;
    const view = new DataView(octets.buffer);
    view.setUint32(octets.length - 4, text.length * 8);
    const state = START.slice();
    for (let at = 0; at < octets.length; at += 64) {
      for (let i = 0; i < 16; i++) W[i] = view.getInt32(at + i * 4);
      block(state);
    }
    return Math.clz32(state[0]);
  };

  let n = 0;
  let wanted = false;
  let done = false;
  form.addEventListener("submit", (event) => {
    if (done) return;
    event.preventDefault();
    wanted = true;
    button.disabled = true;
    status.textContent = "One moment: your browser shows that it is one.";
  });
  const work = () => {
    const end = Date.now() + 20;
    while (Date.now() < end) {
      if (zeros(token + "." + n) >= bits) {
        done = true;
        form.elements.proof.value = String(n);
        button.disabled = false;
        if (wanted) form.requestSubmit(button);
        return;
      }
      n++;
    }
    setTimeout(work, 0);
  };
  work();
})();
