// The two npm releases of MJML that Pressrun is measured against.
//
// Leaves their installing to run.sh.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/// A release below `folder`: its version, `compile(file)`, and what each component may carry.
export function release(folder) {
  const require = createRequire(join(folder, "package.json"));
  const mjml2html = require("mjml").default ?? require("mjml");
  const version = require("mjml/package.json").version;
  const core = require("mjml-core");

  async function compile(file, validationLevel = "strict") {
    const options = {
      filePath: file,
      actualPath: file,
      includePath: dirname(file),
      ignoreIncludes: false,
      // mjml links five fonts of Google's where their names stand; Pressrun links those an author asks for.
      fonts: {},
      validationLevel,
    };
    return (await mjml2html(readFileSync(file, "utf8"), options)).html;
  }

  /// `component attribute` of everything its table allows.
  function attributes() {
    const all = [];
    for (const [name, component] of Object.entries(core.components)) {
      for (const attribute of Object.keys(component.allowedAttributes ?? {})) all.push(`${name} ${attribute}`);
    }
    return all;
  }

  return { version, compile, attributes };
}
