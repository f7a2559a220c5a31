"""uWSGI's options, from the command line and from ini files, as far as they say what is served and how."""

import os
import re
import socket
from typing import Callable, Dict, List, Set, Tuple

from .target import Address, Refusal, Target
from .uwsgi_options import ALIASES, NO_EFFECT, NOTED, PLUGINS, WITHOUT_VALUE

Option = Tuple[str, str]


class Reader:
    """Collects options in the order in which uWSGI would meet them."""

    def __init__(self, env: Dict[str, str], cwd: str) -> None:
        self.env = env
        self.cwd = cwd
        self.options: List[Option] = []
        self.files: List[str] = []
        self.placeholders: Set[str] = set()

    def words(self, words: List[str]) -> None:
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-"):
                self._file_by_name(word)
                continue
            name, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("--") and len(name) > 1 and not equals:
                name, value, equals = name[0], name[1:], "="
            if not equals and ALIASES.get(name, name) not in WITHOUT_VALUE and name != "chmod-socket":
                value = rest.pop(0) if rest and not rest[0].startswith("--") else ""
            elif not equals and name == "chmod-socket" and rest and rest[0].isdigit():
                value = rest.pop(0)
            self._add(name, value)

    def _file_by_name(self, word: str) -> None:
        if re.search(r"\.ini(?::\w+)?$", word):
            self.ini(word)
        elif word.endswith((".py", ".wsgi")):
            self._add("wsgi-file", word)
        elif word.startswith((":", "/")) or re.match(r"^[\w.]*:\d+$", word):
            self._add("socket", word)
        else:
            raise Refusal(f"uwsgi {word}: not an option that is known here")

    def _add(self, name: str, value: str) -> None:
        name = ALIASES.get(name, name)
        if name in ("ini", "inherit", "include", "config"):
            self.ini(value)
        elif name in ("set", "set-ph", "set-placeholder"):
            name, _, value = value.partition("=")
            self.placeholders.add(name)
            self.options.append((name, value))
        else:
            self.options.append((name, value))

    def ini(self, place: str) -> None:
        path, section = place, "uwsgi"
        if ":" in os.path.basename(place) and not os.path.exists(os.path.join(self.cwd, place)):
            path, _, section = place.rpartition(":")
        path = os.path.normpath(os.path.join(self.cwd, path)) if path else (self.files[-1] if self.files else "")
        if (path, section) in [(file, section) for file in self.files] and self.files.count(path) > 20:
            raise Refusal(f"{path}: reads itself")
        self.files.append(path)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}") from error
        self._lines(path, section, lines)

    def _lines(self, path: str, section: str, lines: List[str]) -> None:
        wanted = False
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text[0] in ";#":
                continue
            if text.startswith("[") and text.endswith("]"):
                wanted = text[1:-1] == section
                continue
            if not wanted:
                continue
            name, equals, value = (part.strip() for part in text.partition("="))
            if name in ("for", "endfor", "for-glob", "for-times", "for-readline") or name.startswith(("if-", "endif")):
                raise Refusal(f"{path}:{number}: {name}")
            self._add(name, self._expand(value, path, section) if equals else "true")

    def _expand(self, value: str, path: str, section: str) -> str:
        folder, name = os.path.split(path)
        magic: Dict[str, str] = {
            "p": path,
            "s": name,
            "n": name.rpartition(".")[0] or name,
            "e": name.rpartition(".")[2],
            "d": folder.rstrip("/") + "/",
            "c": os.path.basename(folder),
            "x": section,
            "v": self.cwd,
            "h": socket.gethostname(),
            "u": str(os.getuid()),
            "g": str(os.getgid()),
            "%": "%",
        }
        value = re.sub(r"\$\((\w+)\)", lambda m: self.env.get(m[1], ""), value)
        value = re.sub(r"%\(([\w-]+)\)", lambda m: self._earlier(m[1], m[0]), value)

        def letter(match: "re.Match[str]") -> str:
            if match[1] not in magic:
                raise Refusal(f"{path}: {match[0]}")
            return magic[match[1]]

        value = re.sub(r"%(?!\()([a-zA-Z%])", letter, value)
        return re.sub(r"@\(([^)]+)\)", lambda m: _content(m[1]), value)

    def _earlier(self, name: str, text: str) -> str:
        # uWSGI takes any name for an option, so that files can have variables of their own.
        self.placeholders.add(name)
        found = [value for key, value in self.options if key == ALIASES.get(name, name)]
        return found[-1] if found else text


def _content(path: str) -> str:
    try:
        with open(path.replace("file://", "")) as file:
            return file.read().rstrip("\n")
    except OSError as error:
        raise Refusal(f"@({path}): {error.strerror}") from error


def parse(words: List[str], env: Dict[str, str], cwd: str, python_for: Callable[[str], str]) -> Target:
    """`words` without the program's name; `python_for` names the interpreter of a virtual environment."""
    reader = Reader(env, cwd)
    reader.words(words)
    # UWSGI_PROCESSES=4 is --processes 4.
    for name in sorted(env):
        if name.startswith("UWSGI_") and name not in ("UWSGI_ORIGINAL_PROC_NAME", "UWSGI_RELOADS"):
            reader._add(name[6:].lower().replace("_", "-"), env[name])
    settings = Settings(reader.options, cwd, reader.placeholders)
    target = settings.target(python_for)
    target.config_files = list(dict.fromkeys(reader.files))
    return target


class Settings:
    """The options together: later ones win, lists add up."""

    def __init__(self, options: List[Option], cwd: str, placeholders: Set[str]) -> None:
        self.cwd = cwd
        self._placeholders = placeholders
        self.one: Dict[str, str] = {}
        self.all: Dict[str, List[str]] = {}
        for name, value in options:
            self.one[name] = value
            self.all.setdefault(name, []).append(value)
        self._used: List[str] = []

    def get(self, name: str, default: str = "") -> str:
        self._used.append(name)
        return self.one.get(name, default)

    def many(self, name: str) -> List[str]:
        self._used.append(name)
        return self.all.get(name, [])

    def target(self, python_for: Callable[[str], str]) -> Target:
        chdir = os.path.normpath(os.path.join(self.cwd, self.get("chdir", ".")))
        home = self.get("home")
        target = Target(
            server="uwsgi",
            kind="module",
            app="",
            python=python_for(os.path.join(self.cwd, home) if home else ""),
            argv=["uwsgi", *self.get("pyargv").split()],
            chdir=chdir,
            # uWSGI puts the current folder first, then each path before what is there.
            path=[*reversed(self._module_path(chdir)), chdir],
            uid=self.get("uid"),
            gid=self.get("gid"),
            processes=_number(self.get("processes", "1"), "processes"),
            threads=_number(self.get("threads", "1"), "threads"),
            backlog=_number(self.get("listen", "100"), "listen"),
            buffer_size=min(_number(self.get("buffer-size", "4096"), "buffer-size"), 65535),
            addresses=self._addresses(),
        )
        self._application(target)
        for value in self.many("env"):
            name, _, text = value.partition("=")
            target.env[name] = text
        for value in self.many("plugins"):
            for plugin in value.split(","):
                if not PLUGINS.match(plugin.strip()):
                    raise Refusal(f"uwsgi's plugin {plugin.strip()}")
        self._look_at_the_rest(target)
        return target

    def _module_path(self, chdir: str) -> List[str]:
        paths = [path for value in self.many("pythonpath") for path in value.split(":")]
        return [os.path.normpath(os.path.join(chdir, path)) for path in paths]

    def _application(self, target: Target) -> None:
        module, file = self.get("module"), self.get("wsgi-file")
        mounts = self.many("mount")
        if mounts:
            place, _, mounted = mounts[0].partition("=")
            if len(mounts) > 1 or place not in ("/", "") or module or file:
                raise Refusal("uwsgi's mount: several applications in one server")
            module, file = ("", mounted) if mounted.endswith((".py", ".wsgi")) else (mounted, "")
        name = self.get("callable")
        if file:
            target.kind, target.app = "file", os.path.join(target.chdir, file)
        elif module:
            target.app, _, named = module.partition(":")
            name = name or named
        else:
            raise Refusal("uwsgi with neither module nor wsgi-file")
        target.callable = name or "application"

    def _addresses(self) -> List[Address]:
        plain = "http" if self.get("protocol") == "http" else "uwsgi"
        found = [*((plain, one) for one in self.many("socket"))]
        found += [("http", one) for name in ("http-socket", "http", "http11-socket") for one in self.many(name)]
        if not found:
            raise Refusal("uwsgi without a socket")
        mode_text = self.one.get("chmod-socket")
        self._used += ["chmod-socket", "chown-socket", "umask"]
        mode = None if mode_text is None else int(mode_text, 8) if mode_text.isdigit() else 0o666
        umask = int(self.one["umask"], 8) if "umask" in self.one else None
        addresses = []
        for protocol, text in found:
            address = address_of(protocol, text)
            address.mode, address.umask, address.owner = mode, umask, self.one.get("chown-socket", "")
            if address.path and not address.path.startswith("@"):
                address.path = os.path.normpath(os.path.join(self.cwd, address.path))
            addresses.append(address)
        return addresses

    def _look_at_the_rest(self, target: Target) -> None:
        for name, values in self.all.items():
            if name in self._used:
                continue
            if values[-1].lower() in ("false", "off", "no"):
                continue
            if name not in NO_EFFECT and name not in self._placeholders and name != "no-site":
                raise Refusal(f"uwsgi's {name}")
            if name in NOTED:
                target.notes.append(f"{name} has no effect")


def _number(text: str, name: str) -> int:
    if text == "%k":
        return os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise Refusal(f"uwsgi's {name} = {text}")
    return int(text)


def address_of(protocol: str, text: str) -> Address:
    """`/run/app.sock`, `:3031`, `127.0.0.1:3031` or `unix:/run/app.sock`."""
    text = text[len("unix:") :] if text.startswith("unix:") else text
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        host = host.strip("[]")
        return Address(protocol, host="0.0.0.0" if host in ("", "*") else host, port=int(port))
    if "/" in text or text.startswith("@") or text.endswith(".sock"):
        return Address(protocol, path=text)
    raise Refusal(f"cannot listen on {text!r}")
