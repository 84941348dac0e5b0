#!/usr/bin/env bash
# Compiles the corpus and the examples of MJML's documentation with npm mjml and with Pressrun, and compares
# what Chromium makes of both. `tests/mjml/run.sh --only PATTERN` looks at some files and keeps their pictures;
# `--against npm4` puts mjml 4.18 in Pressrun's place.
#
# Uses the binary named in PRESSRUN_BINARY, or builds it. Pictures and the table land in target/tests/mjml.
set -euo pipefail
exec </dev/null
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$root/$target
work=$target/tests/mjml
mkdir -p "$work"

# release FOLDER VERSION: installs one npm mjml, unless it is there already.
release() {
    local folder=$work/$1
    if [[ -f $folder/node_modules/mjml/package.json ]] &&
        [[ $(node -p "require('$folder/node_modules/mjml/package.json').version") == "$2" ]]; then
        return
    fi
    mkdir -p "$folder"
    echo '{"private":true}' >"$folder/package.json"
    (cd "$folder" && npm install --silent --no-audit --no-fund --save-exact "mjml@$2") >"$work/npm.log" 2>&1 ||
        { cat "$work/npm.log"; exit 1; }
}

release npm5 5.4.1
release npm4 4.18.0

if [[ -z ${PRESSRUN_BINARY:-} && " $* " != *" --against npm4 "* ]]; then
    (cd "$root" && cargo build --locked --quiet --bin pressrun)
    export PRESSRUN_BINARY=$target/debug/pressrun
fi
exec node "$here/compare.mjs" "$work" "$@"
