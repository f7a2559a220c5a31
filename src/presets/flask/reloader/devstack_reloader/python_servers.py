"""The options of `flask run` and of `waitress-serve`."""

import os
import re
from typing import Dict, List, Optional, Tuple

from . import uwsgi_config
from .target import Address, Refusal, Target

_DOTENV = re.compile(r"^\s*(?:export\s+)?(FLASK_\w+)\s*=\s*(['\"]?)(.*?)\2\s*(?:#.*)?$")


def flask(arguments: List[str], env: Dict[str, str], cwd: str, python: str) -> Target:
    settings = {**_dotenv(cwd, python), **env}
    given = _flask_options(arguments)
    debug_text = settings.get("FLASK_DEBUG", "").lower()
    debug = debug_text not in ("", "0", "false", "no") or settings.get("FLASK_ENV") == "development"
    if "debug" in given:
        debug = given["debug"] == "yes"
    host = given.get("host") or settings.get("FLASK_RUN_HOST", "127.0.0.1")
    port = given.get("port") or settings.get("FLASK_RUN_PORT", "5000")
    target = Target(
        server="flask",
        kind="flask",
        app=given.get("app") or settings.get("FLASK_APP", ""),
        python=python,
        argv=["flask", *arguments],
        chdir=cwd,
        addresses=[_http(host, port)],
        threads=1 if given.get("threads") == "no" else 0,
        access_log=True,
        debugger=given["debugger"] == "yes" if "debugger" in given else debug,
    )
    if debug:
        # What code that shall run once asks for: whether it is in the process that a reloader started.
        target.env = {"FLASK_DEBUG": "1", "WERKZEUG_RUN_MAIN": "true"}
    return target


_FLASK_VALUES = {"-A": "app", "--app": "app", "-h": "host", "--host": "host", "-p": "port", "--port": "port"}
_FLASK_FLAGS = {
    "--debug": ("debug", "yes"),
    "--no-debug": ("debug", "no"),
    "--debugger": ("debugger", "yes"),
    "--no-debugger": ("debugger", "no"),
    "--with-threads": ("threads", "yes"),
    "--without-threads": ("threads", "no"),
}
# Flask's own reloader, which has no part here.
_FLASK_RELOADER = ("--reload", "--no-reload", "--eager-loading", "--lazy-loading")
_FLASK_RELOADER_VALUES = ("--extra-files", "--exclude-patterns")


def _flask_options(arguments: List[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word, value = _split_option(rest.pop(0))
        if word in _FLASK_VALUES or word in _FLASK_RELOADER_VALUES:
            value = value if value is not None else (rest.pop(0) if rest else "")
            found[_FLASK_VALUES.get(word, word)] = value
        elif word in _FLASK_FLAGS:
            name, value = _FLASK_FLAGS[word]
            found[name] = value
        elif word == "run" and "command" not in found:
            found["command"] = word
        elif word not in _FLASK_RELOADER:
            raise Refusal(f"flask {word}")
    if "command" not in found:
        raise Refusal("flask without run")
    return found


def _split_option(word: str) -> Tuple[str, Optional[str]]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    if word.startswith("-") and len(word) > 2:
        return word[:2], word[2:]
    return word, None


def _dotenv(cwd: str, python: str) -> Dict[str, str]:
    """Flask's own variables from .flaskenv and .env, which it reads only where python-dotenv is installed."""
    prefix = os.path.dirname(os.path.dirname(python))
    libraries = os.path.join(prefix, "lib")
    names = os.listdir(libraries) if os.path.isdir(libraries) else []
    if not any(os.path.isdir(os.path.join(libraries, name, "site-packages", "dotenv")) for name in names):
        return {}
    found: Dict[str, str] = {}
    for name in (".flaskenv", ".env"):
        try:
            with open(os.path.join(cwd, name), encoding="utf-8") as file:
                matches = [_DOTENV.match(line) for line in file]
        except OSError:
            continue
        found.update({match[1]: match[3] for match in matches if match})
    return found


def _http(host: str, port: str) -> Address:
    if host.startswith("unix://"):
        return Address("http", path=host[len("unix://") :])
    if not port.isdigit():
        raise Refusal(f"not a port: {port}")
    return Address("http", host="127.0.0.1" if host == "localhost" else host, port=int(port))


def waitress(arguments: List[str], cwd: str, python: str) -> Target:
    app, call, threads = "", False, 4
    host, port, addresses = "0.0.0.0", "8080", []
    rest = list(arguments)
    while rest:
        word, value = _split_option(rest.pop(0))
        if not word.startswith("-"):
            app = word
            continue
        if word == "--call":
            call = True
            continue
        value = value if value is not None else (rest.pop(0) if rest else "")
        if word == "--host":
            host = value
        elif word == "--port":
            port = value
        elif word == "--listen":
            addresses += [uwsgi_config.address_of("http", one) for one in value.split()]
        elif word == "--unix-socket":
            addresses.append(Address("http", path=value, mode=0o600))
        elif word == "--threads":
            threads = int(value)
        elif word not in ("--ident", "--backlog", "--connection-limit", "--channel-timeout"):
            raise Refusal(f"waitress-serve {word}")
    module, _, name = app.partition(":")
    if not module:
        raise Refusal("waitress-serve without an application")
    return Target(
        server="waitress",
        kind="module",
        app=module,
        callable=(name or "application") + ("()" if call else ""),
        python=python,
        argv=["waitress-serve", *arguments],
        chdir=cwd,
        path=[cwd],
        threads=threads,
        addresses=addresses or [_http(host, port)],
    )
