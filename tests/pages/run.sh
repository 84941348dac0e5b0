#!/usr/bin/env bash
# The site in Chromium: by keyboard, without JavaScript, narrow and wide, light and dark.
# PRESSRUN_BINARY names the program; `cargo build` makes the default. Screenshots go below target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PRESSRUN_BINARY=${PRESSRUN_BINARY:-$PWD/target/debug/pressrun}
export PYTHONDONTWRITEBYTECODE=1
python3 tests/pages/pages.py
python3 tests/pages/author.py
python3 tests/pages/life.py
python3 tests/pages/preview.py
