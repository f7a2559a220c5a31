"""How long a reload of the shop takes: python3 test/presets/flask/reloader-bench.py [SAVES]

Runs a container of the image shop-api under the reloader, saves one of its modules again and again, 500 ms apart, and prints
what the reloader says of each step, and what a client sees that comes by `docker exec`. A figure, not a test.
"""

import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time

NAME = f"devstack-reloader-bench-{os.getpid()}"
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../src/presets/flask/reloader")
PATH = "/app/shop/validation.py"
STORES = ["DATABASE_URL=postgresql+psycopg://shop@postgres/shop", "ELASTICSEARCH_URL=http://elasticsearch:9200"]
WRITER = 'while read line; do sed -i "/^# mark/d; \\$ a # mark $line" "$0"; echo done; done'


def docker(*words: str, data: bytes = b"") -> bytes:
    return subprocess.run(["docker", *words], input=data, check=True, stdout=subprocess.PIPE).stdout


def reloader() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(SOURCE, ".devstack/flask")
    return packed.getvalue()


def pipe(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["docker", "exec", "-i", NAME, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


def ask(process: "subprocess.Popen[bytes]", line: bytes) -> bytes:
    assert process.stdin and process.stdout
    process.stdin.write(line + b"\n")
    return process.stdout.readline()


def main(saves: int) -> None:
    env = [word for one in [*STORES, "REDIS_URL=redis://redis"] for word in ("-e", one)]
    wrapped = ["python3", "-B", "/.devstack/flask/run.py", "--app", "wsgi:application", "--"]
    docker("create", "--init", "--name", NAME, "--user", "app", *env, "shop-api", *wrapped, "uwsgi", "--ini", "/app/uwsgi.ini")
    try:
        docker("cp", "-", f"{NAME}:/", data=reloader())
        docker("start", NAME)
        control = pipe("python3", "-B", "-S", "-E", "/.devstack/flask/ctl.py")
        assert control.stdout
        control.stdout.readline()
        time.sleep(5)
        measure(control, pipe("sh", "-c", WRITER, PATH), saves)
    finally:
        docker("rm", "--force", NAME)


def measure(control: "subprocess.Popen[bytes]", writer: "subprocess.Popen[bytes]", saves: int) -> None:
    rows = []
    for number in range(saves + 1):
        ask(writer, str(number).encode())
        began = time.monotonic()
        answer = json.loads(ask(control, json.dumps({"id": number, "type": "reload", "files": [PATH]}).encode()))
        while answer.get("id") != number:
            assert control.stdout
            answer = json.loads(control.stdout.readline())
        rows.append({**answer["ms"], "seen by exec": (time.monotonic() - began) * 1000})
        time.sleep(0.5)
    for name in rows[0]:
        # The first one is the last before everything is warm.
        values = sorted(row[name] for row in rows[1:])
        print(f"{name:14} median {statistics.median(values):7.2f} ms   {values[0]:.2f}-{values[-1]:.2f}   n={len(values)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
