"""Relays lines between stdin/stdout and the reloader's control socket.

    python3 -B -S -E ctl.py [--wait SECONDS]

Imports as little as it can: it is on the way of the first reload after a start.
"""

import os
import select
import socket
import sys
import time

PAUSE = 0.01


def folders():
    """Where the server may have made its socket; see `folder_for_server` in devstack_reloader/control.py."""
    named = os.environ.get("DEVSTACK_CONTROL_FOLDER")
    return [named] if named else ["/.devstack/run", "/tmp/.devstack-%d" % os.getuid()]


def connect(deadline):
    """The connection, or the text of a refusal; waits for the server to be there."""
    while True:
        for folder in folders():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(folder + "/flask.sock")
                return connection, None
            except OSError:
                connection.close()
            reason = refusal(folder + "/refused")
            if reason is not None:
                return None, reason
        if time.monotonic() >= deadline:
            raise SystemExit("no reloader answers in this container")
        time.sleep(PAUSE)


def refusal(path):
    """Why the original server runs, if the file is from the process that runs it now."""
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        return None
    import json

    refused = json.loads(text)
    try:
        with open("/proc/%d/stat" % refused["pid"]) as file:
            start = file.read().rpartition(")")[2].split()[19]
    except OSError:
        return None
    return refused["reason"] if start == refused["start"] else None


def write(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


def receive(connection):
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def relay(connection):
    """Both ways, until either ends; False when the server ended before it said a word."""
    said = False
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(connection, select.POLLIN)
    while True:
        for descriptor, _event in poller.poll():
            if descriptor == 0:
                data = os.read(0, 65536)
                if not data:
                    return True
                connection.sendall(data)
            else:
                data = receive(connection)
                if not data:
                    return said
                said = True
                write(1, data)


def refuse(reason):
    """Stays as long as whoever asked, as it would with a server: what the original one cannot do, a restart can."""
    import json

    def say(message):
        write(1, json.dumps(message).encode() + b"\n")

    say({"type": "hello", "protocol": 1, "server": "original", "reason": reason})
    for line in sys.stdin.buffer:
        try:
            asked = json.loads(line)["id"]
        except (ValueError, KeyError, TypeError):
            continue
        say({"id": asked, "type": "restart", "reason": reason})


def main(arguments):
    seconds = float(arguments[arguments.index("--wait") + 1]) if "--wait" in arguments else 30.0
    deadline = time.monotonic() + seconds
    while True:
        connection, reason = connect(deadline)
        # A reloader that gives way to the original server closes without a greeting, and leaves the reason.
        if connection is None or relay(connection):
            break
    if connection is None:
        refuse(reason)


if __name__ == "__main__":
    main(sys.argv[1:])
