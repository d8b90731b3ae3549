"""Where the page is served: who may reach it, the port that is free, and the address to type."""

from __future__ import annotations

import errno
import socket
import sys

from backend.errors import InputError
from gui.guard import WILDCARD_HOSTS, is_loopback

PORTS_TO_TRY = 100


def check_access(host: str, login: str) -> None:
    """Raise InputError if the page would be open to the network without a login, or if the login is not one."""
    user, _, password = login.partition(":")
    if login and not (user and password):
        raise InputError("--auth: wanted USER:PASSWORD, both not empty")
    if not login and not is_loopback(host):
        raise InputError(
            f"--host {host}: other machines could use the page, and with it your files and GPU, without a login",
            hint="give --auth USER:PASSWORD (or LORALOOM_AUTH in the environment), or keep 127.0.0.1 and reach it "
            "from elsewhere with: ssh -L 7860:localhost:7860 THIS_MACHINE",
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on this port, or on the next one that is free; 0 is any free port. Raises InputError."""
    last_port = min(port + PORTS_TO_TRY, 65536) if port else 1
    for candidate in range(port, last_port):
        try:
            return _listen_on(host, candidate)
        except OSError as error:
            if not _is_taken(error):
                raise InputError(f"--host {host} --port {candidate}: {error.strerror or error}") from error
    raise InputError(f"--port {port}: taken, and so are all up to {last_port - 1}", hint="choose another one")


def page_address(listener: socket.socket, *, host: str) -> str:
    """The address to open on this machine, as `http://127.0.0.1:7860/`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return _address(name, listener)


def network_address(listener: socket.socket, *, host: str) -> str:
    """The address to open on other machines; "" where the page is served under one name only."""
    return _address(socket.gethostname(), listener) if host in WILDCARD_HOSTS else ""


def _address(name: str, listener: socket.socket) -> str:
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}/"


def _listen_on(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # there SO_REUSEADDR would share the port with whoever has it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _is_taken(error: OSError) -> bool:
    # Windows also reserves ranges of ports (WSAEACCES) for Hyper-V; there the next one is as good.
    return error.errno == errno.EADDRINUSE or (sys.platform == "win32" and error.errno == errno.EACCES)
