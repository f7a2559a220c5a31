"""Opens the sockets that the original server would listen on."""

import grp
import os
import pwd
import socket
import stat
from typing import Tuple

from .target import Address


def listen(address: Address, backlog: int) -> socket.socket:
    """A listening socket; a Unix socket file left by an earlier run is removed first."""
    opened = _unix(address) if address.path else _tcp(address)
    opened.listen(backlog)
    # Several processes wait for the same connection, and only one gets it.
    opened.setblocking(False)
    return opened


def _tcp(address: Address) -> socket.socket:
    host = address.host or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.getaddrinfo(host, address.port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    opened = socket.socket(found[0][0], socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(found[0][4])
    except OSError:
        opened.close()
        raise
    if not address.port:
        address.port = opened.getsockname()[1]
    return opened


def _unix(address: Address) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if address.path.startswith("@"):
        opened.bind("\0" + address.path[1:])
        return opened
    remove(address)
    before = os.umask(address.umask) if address.umask is not None else None
    try:
        opened.bind(address.path)
    except OSError as error:
        opened.close()
        raise OSError(error.errno, f"{error.strerror}: {address.path}") from error
    finally:
        if before is not None:
            os.umask(before)
    if address.mode is not None:
        os.chmod(address.path, address.mode)
    if address.owner:
        uid, gid = owner(address.owner)
        os.chown(address.path, uid, gid)
    return opened


def remove(address: Address) -> None:
    """Removes the file of a Unix socket, and nothing that is not a socket."""
    if not address.path or address.path.startswith("@"):
        return
    try:
        if stat.S_ISSOCK(os.lstat(address.path).st_mode):
            os.unlink(address.path)
    except FileNotFoundError:
        pass


def owner(text: str) -> Tuple[int, int]:
    """`user:group`, `user` or numbers; -1 stands for "as it is"."""
    user, _, group = text.partition(":")
    return user_id(user), group_id(group)


def user_id(user: str) -> int:
    if not user:
        return -1
    return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid


def group_id(group: str) -> int:
    if not group:
        return -1
    return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
