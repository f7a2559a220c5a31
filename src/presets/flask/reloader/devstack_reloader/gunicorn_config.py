"""gunicorn's options and its configuration file, as far as they say what is served and how."""

import json
import os
import shlex
import subprocess
from typing import Any, Dict, List, Optional

from .target import Address, Refusal, Target

# The short names, and those of several spellings.
_ALIASES = {
    "-b": "bind",
    "-w": "workers",
    "-k": "worker_class",
    "-c": "config",
    "-e": "env",
    "-t": "timeout",
    "-n": "proc_name",
    "-m": "umask",
    "-p": "pid",
    "-R": "enable_stdio_inheritance",
    "--access-logfile": "accesslog",
    "--error-logfile": "errorlog",
    "--log-file": "errorlog",
    "--log-level": "loglevel",
    "--name": "proc_name",
    "--pythonpath": "pythonpath",
}
_FLAGS = {
    "reload",
    "preload",
    "preload_app",
    "daemon",
    "no_sendfile",
    "check_config",
    "enable_stdio_inheritance",
    "capture_output",
    "reuse_port",
    "spew",
    "print_config",
    "proxy_protocol",
    "disable_redirect_access_to_syslog",
}
_USED = {"bind", "workers", "threads", "worker_class", "config", "env", "chdir", "pythonpath", "wsgi_app", "raw_env"}
_USED |= {"accesslog", "umask", "backlog"}
_NO_EFFECT = {
    "access_log_format",
    "access_logformat",
    "capture_output",
    "errorlog",
    "forwarded_allow_ips",
    "graceful_timeout",
    "keep_alive",
    "keepalive",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "log_level",
    "loglevel",
    "max_requests",
    "max_requests_jitter",
    "no_sendfile",
    "pid",
    "pidfile",
    "preload",
    "preload_app",
    "proc_name",
    "enable_stdio_inheritance",
    "reload",
    "reload_engine",
    "reload_extra_files",
    "reload_extra_file",
    "reuse_port",
    "sendfile",
    "timeout",
    "worker_connections",
    "worker_tmp_dir",
    "disable_redirect_access_to_syslog",
    "control_socket_disable",
}
# The file is Python: it is run by the interpreter of the application, and only plain values come back.
_RUN = """
import json, runpy, sys
found = runpy.run_path(sys.argv[1])
plain, other = {}, []
for name, value in found.items():
    if name.startswith("_") or type(value).__name__ == "module": continue
    try: plain[name] = json.loads(json.dumps(value))
    except (TypeError, ValueError):
        other.append(name)
print("\\n" + json.dumps([plain, other]))
"""
_HOOKS = {"on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int"}
_HOOKS |= {"worker_abort", "pre_exec", "pre_request", "post_request", "child_exit", "worker_exit", "nworkers_changed"}
_HOOKS |= {"on_exit", "ssl_context", "worker_class", "logger_class"}


def parse(arguments: List[str], env: Dict[str, str], cwd: str, python: str) -> Target:
    words = [*shlex.split(env.get("GUNICORN_CMD_ARGS", "")), *arguments]
    given = _options(words)
    chdir = os.path.join(cwd, str(given.get("chdir", ".")))
    file = _config_file(given, chdir)
    values: Dict[str, Any] = {**(_from_file(file, python, chdir, env) if file else {}), **given}
    _refuse(values)
    app = str(values.get("wsgi_app", ""))
    module, _, name = app.partition(":")
    if not module:
        raise Refusal("gunicorn without an application")
    threads = int(values.get("threads", 1))
    bind = values.get("bind") or ["0.0.0.0:" + env["PORT"] if env.get("PORT") else "127.0.0.1:8000"]
    target = Target(
        server="gunicorn",
        kind="module",
        app=module,
        callable=name or "application",
        python=python,
        argv=["gunicorn", *arguments],
        chdir=os.path.join(cwd, str(values.get("chdir", "."))),
        processes=int(values.get("workers", env.get("WEB_CONCURRENCY", 1))),
        threads=threads,
        addresses=[_address(one) for one in ([bind] if isinstance(bind, str) else bind)],
        access_log=values.get("accesslog") == "-",
        config_files=[file] if file else [],
    )
    target.chdir = os.path.normpath(target.chdir)
    more = [os.path.join(target.chdir, one) for one in str(values.get("pythonpath") or "").split(",") if one]
    target.path = [*more, target.chdir]
    for one in [*_list(values.get("raw_env")), *_list(values.get("env"))]:
        key, _, value = str(one).partition("=")
        target.env[key] = value
    return target


def _options(words: List[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            found["wsgi_app"] = word
            continue
        value: Optional[str] = None
        if word.startswith("--"):
            word, equals, text = word.partition("=")
            value = text if equals else None
        elif len(word) > 2:
            word, value = word[:2], word[2:]
        name = _ALIASES.get(word, word.lstrip("-").replace("-", "_"))
        if name in _FLAGS:
            found[name] = True
            continue
        value = value if value is not None else (rest.pop(0) if rest else "")
        if name in ("bind", "env"):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _config_file(given: Dict[str, Any], chdir: str) -> str:
    named = str(given.get("config", "./gunicorn.conf.py"))
    if named.startswith("python:"):
        raise Refusal(f"gunicorn's config {named}")
    path = os.path.normpath(os.path.join(chdir, named[len("file:") :] if named.startswith("file:") else named))
    if os.path.isfile(path):
        return path
    if "config" in given:
        raise Refusal(f"{path} is not there")
    return ""


def _from_file(path: str, python: str, cwd: str, env: Dict[str, str]) -> Dict[str, Any]:
    done = subprocess.run(
        [python, "-B", "-c", _RUN, path], cwd=cwd, env=env, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise Refusal(f"{path} does not run: {done.stderr.strip().splitlines()[-1:]}")
    plain, other = json.loads(done.stdout.strip().splitlines()[-1])
    hooks = sorted(_HOOKS.intersection(other))
    if hooks:
        raise Refusal(f"{path} defines {hooks[0]}")
    known = _USED | _NO_EFFECT
    # Names of the file's own, which gunicorn does not know either.
    return {name: value for name, value in plain.items() if name in known or name in _SETTINGS}


# gunicorn's settings that change what is served and that nobody does here.
_SETTINGS = {
    "certfile",
    "keyfile",
    "daemon",
    "user",
    "group",
    "paste",
    "worker_class",
    "proxy_protocol",
    "logger_class",
}
_SETTINGS |= {"statsd_host", "secure_scheme_headers", "logconfig", "logconfig_dict", "initgroups", "dogstatsd_tags"}


def _refuse(values: Dict[str, Any]) -> None:
    kind = str(values.get("worker_class") or "sync")
    if kind not in ("sync", "gthread"):
        raise Refusal(f"gunicorn's {kind} workers")
    for name, value in values.items():
        if name not in _USED and name not in _NO_EFFECT and value not in (None, False, "", [], {}):
            raise Refusal(f"gunicorn's {name}")


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        return Address("http", path=text[len("unix:") :].replace("//", "/"), umask=0)
    if text.startswith("fd://"):
        raise Refusal(f"gunicorn's bind {text}")
    host, colon, port = text.replace("tcp://", "").rpartition(":")
    if not colon:
        host, port = port, "8000"
    if not port.isdigit():
        raise Refusal(f"not a port: {port}")
    return Address("http", host=host.strip("[]") or "0.0.0.0", port=int(port))


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value] if value else []
