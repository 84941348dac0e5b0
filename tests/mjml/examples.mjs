// The examples of MJML's documentation, from the README that each npm package brings along.
//
// Promises whole documents: a fragment is put where its outermost component belongs. What names files that
// only the documentation has (`mj-include`) is left out, and said.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const HEAD = ["attributes", "breakpoint", "font", "html-attributes", "preview", "style", "title"];

/// `[{ name, text }]` of every example below `node_modules`, and how many were left out.
export function examples(modules) {
  const found = [];
  let left = 0;
  for (const name of readdirSync(modules).filter((name) => /^mjml(-|$)/.test(name)).sort()) {
    const readme = join(modules, name, "README.md");
    if (!existsSync(readme)) continue;
    const blocks = readFileSync(readme, "utf8").matchAll(/^```(?:xml|html|mjml)\s*\n([\s\S]*?)^```/gm);
    let number = 0;
    for (const [, text] of blocks) {
      const whole = wrap(text);
      if (!whole || /<mj-include/.test(whole)) left++;
      else found.push({ name: `${name}-${++number}.mjml`, text: whole });
    }
  }
  return { found, left };
}

function wrap(text) {
  if (/<mjml[\s>]/.test(text)) return text;
  const first = /<mj-([a-z-]+)/.exec(text)?.[1];
  if (!first) return null;
  if (first === "head") return `<mjml>${text}<mj-body></mj-body></mjml>`;
  if (first === "body") return `<mjml>${text}</mjml>`;
  if (HEAD.includes(first)) return `<mjml><mj-head>${text}</mj-head><mj-body></mj-body></mjml>`;
  let inner = text;
  if (!["section", "wrapper", "hero"].includes(first)) {
    if (!["column", "group"].includes(first)) inner = `<mj-column>${inner}</mj-column>`;
    inner = `<mj-section>${inner}</mj-section>`;
  }
  return `<mjml><mj-body>${inner}</mj-body></mjml>`;
}
