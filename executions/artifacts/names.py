"""How a file that an action left is called. Pure: no database, no Django."""

import re
from hashlib import sha256

LONGEST = 255
_UNSAFE = re.compile(r"[^a-z0-9_-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DIGEST = 8


def readable(path: str) -> str:
    """Return a path as text that can be shown and stored: odd bytes and control characters as `\\x0a`.

    `path` is as Python's os functions give it, with undecodable bytes as lone surrogates.
    """
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def ref_of(execution_id: int, name: str, *, digest: bool = False) -> str:
    """Return the ref of what an execution left: `execution.7.out.report.csv` of `out/Report.csv`.

    Two names may come to one ref; with `digest` the ref is the name's alone.
    """
    segments = [_UNSAFE.sub("_", part) for part in re.split(r"[./]", name.lower()) if part]
    ref = ".".join([f"execution.{execution_id}", *(segments or ["file"])])
    if not digest and len(ref) <= LONGEST:
        return ref
    mark = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{ref[: LONGEST - _DIGEST - 1].rstrip('.')}-{mark}"
