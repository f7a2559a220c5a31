"""What a container's command serves: uwsgi, flask, gunicorn, waitress or a script, behind the usual wrappers."""

import os
import re
import shlex
import shutil
from typing import Dict, List

from . import gunicorn_config, python_servers, uwsgi_config
from .target import Refusal, Target

_PYTHON = re.compile(r"^python(\d(\.\d+)?)?$")
# Of Python's own options, those that take a value.
_WITH_VALUE = ("-W", "-X", "-c", "-m")


def parse(words: List[str], env: Dict[str, str], cwd: str) -> Target:
    """The target of a command, or a Refusal that names what stands in the way."""
    words = _unwrap(list(words), env)
    if not words:
        raise Refusal("an empty command")
    program, arguments = words[0], words[1:]
    name = os.path.basename(program)
    if _PYTHON.match(name):
        return _python(_found(program, env), arguments, env, cwd)
    if name == "uwsgi" or name.startswith("uwsgi_python") or name.startswith("uwsgi-core"):
        return uwsgi_config.parse(arguments, env, cwd, lambda home: _python_for_uwsgi(home, program, env))
    python = _python_of_script(_found(program, env), env)
    folder = os.path.dirname(_found(program, env))
    return _served_by(name, python, [], arguments, env, cwd, folder)


def _served_by(
    name: str, python: str, flags: List[str], arguments: List[str], env: Dict[str, str], cwd: str, first: str
) -> Target:
    """A server that is a Python program; `first` is what stands first in its module path."""
    if name == "flask":
        target = python_servers.flask(arguments, env, cwd, python)
    elif name == "gunicorn":
        target = gunicorn_config.parse(arguments, env, cwd, python)
    elif name in ("waitress-serve", "waitress"):
        target = python_servers.waitress(arguments, cwd, python)
    else:
        raise Refusal(f"{name} is no server that is known here")
    target.python_flags = flags
    if first not in target.path:
        target.path.append(first)
    return target


def _unwrap(words: List[str], env: Dict[str, str]) -> List[str]:
    """Takes off what only starts the command."""
    for _ in range(8):
        if not words:
            return words
        name = os.path.basename(words[0])
        if name in ("sh", "bash", "dash", "ash") and len(words) >= 3 and re.match(r"^-[elux]*c$", words[1]):
            words = _unwrap_shell(words[2], env)
        elif name in ("tini", "dumb-init", "docker-init", "catatonit"):
            words = _after_options(words[1:])
        elif name == "env":
            words = words[1:]
            while words and re.match(r"^\w+=", words[0]):
                key, _, value = words.pop(0).partition("=")
                env[key] = value
        elif name == "exec":
            words = words[1:]
        elif name in ("pipenv", "poetry", "uv", "pdm", "hatch") and words[1:2] == ["run"]:
            words = _of_project(name, words[2:], env)
        else:
            return words
    return words


def _after_options(words: List[str]) -> List[str]:
    while words and words[0].startswith("-"):
        if words.pop(0) == "--":
            break
    return words


def _unwrap_shell(text: str, env: Dict[str, str]) -> List[str]:
    """One plain command; anything that a shell would have to work out is not ours to guess."""
    text = re.sub(r"\$\{?(\w+)(?::-([^}]*))?\}?", lambda m: env.get(m[1]) or m[2] or "", text.strip())
    if re.search(r"[;&|<>`\n*?(]|\$", text):
        raise Refusal("a shell script with more than one command")
    words = shlex.split(text)
    while words and re.match(r"^\w+=", words[0]):
        key, _, value = words.pop(0).partition("=")
        env[key] = value
    return words


def _of_project(tool: str, words: List[str], env: Dict[str, str]) -> List[str]:
    """`poetry run flask run`: the program of the project's virtual environment, if it is where one looks first."""
    if not words or words[0].startswith("-"):
        raise Refusal(f"{tool} run with options")
    for folder in (env.get("UV_PROJECT_ENVIRONMENT", ""), env.get("VIRTUAL_ENV", ""), ".venv"):
        program = os.path.join(folder, "bin", words[0])
        if folder and os.access(program, os.X_OK):
            return [os.path.abspath(program), *words[1:]]
    raise Refusal(f"{tool} run: its virtual environment is neither VIRTUAL_ENV nor .venv")


def _found(program: str, env: Dict[str, str]) -> str:
    found = shutil.which(program, path=env.get("PATH"))
    if not found:
        raise Refusal(f"{program} is not there")
    return os.path.abspath(found)


def _python_of_script(path: str, env: Dict[str, str]) -> str:
    """The interpreter in the first line of an installed command."""
    with open(path, "rb") as file:
        first = file.readline(512)
        second = file.readline(1024)
    if not first.startswith(b"#!"):
        raise Refusal(f"{path} is no Python program")
    words = first[2:].decode("utf-8", "replace").split()
    if words and _PYTHON.match(os.path.basename(words[0])):
        return words[0]
    if words and os.path.basename(words[0]) == "env" and _PYTHON.match(words[-1]):
        return _found(words[-1], env)
    # Long paths: `#!/bin/sh`, then `'''exec' /long/path/python "$0" "$@"`.
    long = re.match(rb"^'''exec' \"?([^\"]+?)\"? \"\$0\"", second)
    if long:
        return long[1].decode()
    raise Refusal(f"{path} is no Python program")


def _python_for_uwsgi(home: str, program: str, env: Dict[str, str]) -> str:
    if home:
        for name in ("python3", "python"):
            path = os.path.join(home, "bin", name)
            if os.access(path, os.X_OK):
                return path
        raise Refusal(f"uwsgi's home {home} has no Python")
    # uWSGI from PyPI is built for the Python it is installed beside.
    beside = os.path.join(os.path.dirname(_found(program, env)), "python3")
    return beside if os.access(beside, os.X_OK) else _found("python3", env)


def _python(python: str, arguments: List[str], env: Dict[str, str], cwd: str) -> Target:
    flags: List[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "-m" or word.startswith("-m"):
            module = word[2:] or (rest.pop(0) if rest else "")
            return _python_module(python, flags, module, rest, env, cwd)
        if word == "-c":
            raise Refusal("python -c")
        flags.append(word)
        if word in _WITH_VALUE and rest:
            flags.append(rest.pop(0))
    if not rest or rest[0] == "-":
        raise Refusal("python without a program")
    script = os.path.join(cwd, rest[0])
    name = os.path.basename(script)
    if name in ("flask", "gunicorn", "waitress-serve"):
        return _served_by(name, python, flags, rest[1:], env, cwd, os.path.dirname(script))
    if os.path.isdir(script) or not os.path.isfile(script):
        raise Refusal(f"{rest[0]} is no file")
    if name == "manage.py" and "run" not in rest[1:] and "runserver" not in rest[1:]:
        raise Refusal(f"{name} without run or runserver")
    return _script(script, python, flags, rest, cwd)


def _script(script: str, python: str, flags: List[str], argv: List[str], cwd: str) -> Target:
    return Target(
        server="python",
        kind="script",
        app=script,
        python=python,
        python_flags=flags,
        argv=argv,
        chdir=cwd,
        path=[os.path.dirname(script)],
    )


def _python_module(
    python: str, flags: List[str], module: str, arguments: List[str], env: Dict[str, str], cwd: str
) -> Target:
    if module in ("flask", "gunicorn", "waitress"):
        return _served_by(module, python, flags, arguments, env, cwd, cwd)
    place = os.path.join(cwd, *module.split("."))
    for file in (place + ".py", os.path.join(place, "__main__.py")):
        if os.path.isfile(file):
            target = _script(file, python, flags, [file, *arguments], cwd)
            target.path = [cwd]
            target.callable = module if file == place + ".py" else f"{module}.__main__"
            return target
    raise Refusal(f"python -m {module}")
