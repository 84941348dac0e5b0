#!/usr/bin/env bash
# Shows messages to other people's programs: dkimpy and OpenDKIM verify the signatures, Python's email
# package parses, and lint.py checks what mailbox providers ask for.
#
#   tests/judges/run.sh                          messages made by the suite, hostile ones among them
#   tests/judges/run.sh DIR NAME=RECORD...       the .eml files of DIR, for a key that stands at NAME
#   tests/judges/run.sh DIR                      as above, with one NAME=RECORD a line in DIR/dns.txt
#
# The Python tools live in a virtual environment under target/; opendkim comes from the system.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/judges
target=${CARGO_TARGET_DIR:-target}
venv=$target/judges/venv

if ! "$venv/bin/python" -c 'import dkim, dns, nacl' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'dkimpy[ed25519]==1.1.8' dnspython==2.8.0
fi
if ! command -v opendkim >/dev/null && [ ! -x /usr/sbin/opendkim ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get install --yes --quiet --no-install-recommends opendkim >/dev/null
fi

if [ $# -eq 0 ]; then
    folder=$target/judges/samples
    rm -rf "$folder"
    mkdir -p "$folder"
    PRESSRUN_JUDGES_DIR=$(realpath "$folder") cargo test --quiet --test suite -- \
        hostile::signatures_of_hostile_copies_verify_and_are_laid_out_for_the_judges
else
    folder=$1
    shift
fi

records=("$@")
if [ ${#records[@]} -eq 0 ]; then
    mapfile -t records <"$folder/dns.txt"
fi

"$venv/bin/python" "$here/lint.py" "$folder"
"$venv/bin/python" "$here/verify.py" "$folder" "${records[@]}"

# OpenDKIM reads its DNS answers from a file, so that nothing is asked of the network.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for record in "${records[@]}"; do
    printf '%s %s\n' "${record%%=*}" "${record#*=}"
done >"$work/dns"
printf 'TestDNSData %s\nMode v\nSyslog no\n' "$work/dns" >"$work/conf"
opendkim=$(command -v opendkim || echo /usr/sbin/opendkim)
count=0
for message in "$folder"/*.eml; do
    answer=$("$opendkim" -x "$work/conf" -t "$message" 2>&1) || true
    if ! grep -q "verification (s=[^)]*) succeeded" <<<"$answer"; then
        echo "opendkim does not verify $message:"
        echo "$answer"
        exit 1
    fi
    count=$((count + 1))
done
[ "$count" -gt 0 ]
echo "opendkim: $count messages verified"
