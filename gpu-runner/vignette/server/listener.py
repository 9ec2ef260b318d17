"""The port, taken before PyTorch is even imported, so that a busy one is reported at once."""

from __future__ import annotations

import errno
import socket

from vignette.errors import ConfigError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} on {host} is taken by another process; stop it, or choose another with --port or RUNNER_PORT."
            ) from None
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    return listener
