"""Looks at files from inside a container, for tests and benchmarks of live update.

One JSON request a line on stdin, one JSON answer a line on stdout. Times are CLOCK_MONOTONIC in milliseconds, which
a container shares with its host. It polls only while it was asked to, so that it does not slow what is measured.
"""

import hashlib
import json
import os
import select
import sys
import time
from typing import Any

EVERY = 0.0002


def now() -> float:
    return time.monotonic_ns() / 1e6


def read(path: bytes) -> "bytes | None":
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(descriptor, 1 << 24)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def see(request: "dict[str, Any]") -> "dict[str, Any]":
    """When a file's content is `text`."""
    path, text = os.fsencode(request["path"]), request["text"].encode()
    end = now() + request["timeoutMs"]
    while now() < end:
        if read(path) == text:
            return {"at": now()}
        time.sleep(EVERY)
    return {"at": None}


def right(path: bytes, digest: "str | None") -> bool:
    content = read(path)
    if digest is None or content is None:
        return digest is None and not os.path.lexists(path)
    return hashlib.sha256(content).hexdigest() == digest


def settle(request: "dict[str, Any]") -> "dict[str, Any]":
    """When every file has its hash, and every one whose hash is null is gone."""
    files = [(os.fsencode(path), digest) for path, digest in request["files"].items()]
    end = now() + request["timeoutMs"]
    pending = files
    while pending and now() < end:
        # A few stand for the rest until they are right: the whole list is not read again and again.
        few = pending[:: max(1, len(pending) // 32)]
        if all(right(path, digest) for path, digest in few):
            pending = [file for file in pending if not right(*file)]
        if pending:
            time.sleep(0.002)
    at = now()
    wrong = [file for file in files if not right(*file)]
    return {
        "at": None if wrong else at,
        "wrong": len(wrong),
        "some": [os.fsdecode(path) for path, _ in wrong[:5]],
    }


def record(request: "dict[str, Any]") -> "dict[str, Any]":
    """Every content that the files have, in order, until the next line of stdin."""
    paths = [os.fsencode(path) for path in request["paths"]]
    last: "dict[bytes, tuple[int, int, int] | None]" = {}
    seen: "list[list[str]]" = []
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        for path in paths:
            try:
                stat = os.stat(path)
                stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError:
                stamp = None
            if last.get(path) == stamp:
                continue
            last[path] = stamp
            content = read(path)
            if content is not None:
                seen.append([os.fsdecode(path), content.decode("latin-1")])
    sys.stdin.readline()
    return {"seen": seen}


def main() -> None:
    work = {"see": see, "settle": settle, "record": record}
    print(json.dumps({"at": now()}), flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        print(json.dumps(work[request["do"]](request)), flush=True)


main()
