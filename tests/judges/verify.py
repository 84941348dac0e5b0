"""Verifies every signature of every .eml file of a folder with dkimpy, and that tampering is noticed.

Usage: verify.py FOLDER NAME=RECORD...
"""

import pathlib
import sys

import dkim


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    records = dict(argument.split("=", 1) for argument in sys.argv[2:])

    def answer(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        return records.get(name.rstrip("."), "").encode()

    def verified(message: bytes) -> list:
        """Whether each signature verifies; the key of an Ed25519 signature always has 256 bits."""
        found = dkim.DKIM(message, minkey=0)
        signatures = [value for name, value in found.headers if name.lower() == b"dkim-signature"]
        results = []
        for number, signature in enumerate(signatures):
            least = 256 if b"a=ed25519-sha256" in signature else 2048
            try:
                results.append(dkim.DKIM(message, minkey=least).verify(idx=number, dnsfunc=answer))
            except dkim.DKIMException:
                results.append(False)
        return results

    files = sorted(folder.glob("*.eml"))
    failed = [f"no .eml file in {folder}"] if not files else []
    tampered = signatures = 0
    for file in files:
        message = file.read_bytes()
        each = verified(message)
        if not each or not all(each):
            failed.append(f"{file.name}: the signatures verify so: {each}")
            continue
        signatures += len(each)
        for what, other in tamper(message):
            tampered += 1
            if any(verified(other)):
                failed.append(f"{file.name}: verifies in spite of {what}")
    for line in failed:
        print(f"dkimpy: {line}")
    if not failed:
        print(
            f"dkimpy: {len(files)} messages with {signatures} signatures verified, "
            f"{tampered} tampered ones refused"
        )
    return 1 if failed else 0


def tamper(message: bytes):
    """Messages that must not verify, and what was done to them."""
    header, body = message.split(b"\r\n\r\n", 1)
    for name in (b"List-Unsubscribe", b"List-Unsubscribe-Post", b"From", b"To", b"Subject", b"Reply-To"):
        lines = header.split(b"\r\n")
        starts = [i for i, line in enumerate(lines) if line.lower().startswith(name.lower() + b":")]
        if starts:
            start = starts[0]
            end = start + 1
            while end < len(lines) and lines[end].startswith(b" "):
                end += 1
            without = lines[:start] + lines[end:]
            yield f"a removed {name.decode()}", b"\r\n".join(without) + b"\r\n\r\n" + body
            altered = lines[:end]
            altered[-1] += b"x"
            yield f"an altered {name.decode()}", b"\r\n".join(altered + lines[end:]) + b"\r\n\r\n" + body
        added = name + b": <https://evil.example/>\r\n"
        yield f"a {name.decode()} put before", added + message
    yield "a changed body", header + b"\r\n\r\n" + body.replace(b"a", b"b", 1)


if __name__ == "__main__":
    sys.exit(main())
