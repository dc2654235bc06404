# SPDX-License-Identifier: MIT
"""Messages: JSON objects, each behind its length in four bytes (big-endian), over a pipe or a socket."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from contextlib import suppress

LIMIT = 1 << 20  # bytes of a message
_HEAD = struct.Struct(">I")


class Closed(Exception):
    """The other side is gone."""


class Unsent(Exception):
    """The system passes no descriptor now; nothing was sent."""


def pack(message: dict) -> bytes:
    """The bytes of a message."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > LIMIT:
        raise ValueError(f"protocol: {message.get('t')} message of {len(body)} bytes")
    return _HEAD.pack(len(body)) + body


class Parser:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> dict | None:
        """The next whole message, or None."""
        if len(self._data) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._data)
        if length > LIMIT:
            raise ValueError(f"protocol: message of {length} bytes")
        end = _HEAD.size + length
        if len(self._data) < end:
            return None
        message = json.loads(bytes(self._data[_HEAD.size : end]))
        del self._data[:end]
        if not isinstance(message, dict) or not isinstance(message.get("t"), str):
            raise ValueError("protocol: message without a type")  # noqa: TRY004
        return message


class Pipes:
    """Messages over two file descriptors: the hub's side of the conversation with the process that started it."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self._write, self._parser = read, write, Parser()

    def receive(self) -> list[dict]:
        """The messages that one read brings; may be none."""
        data = os.read(self.read, 1 << 16)
        if not data:
            raise Closed
        self._parser.feed(data)
        return list(iter(self._parser.next, None))

    def send(self, message: dict) -> None:
        view = memoryview(pack(message))
        while view:
            view = view[os.write(self._write, view) :]

    def close(self) -> None:
        os.close(self.read)
        os.close(self._write)


class Channel:
    """Messages, and now and then a descriptor, over a socket pair: hub and walker."""

    def __init__(self, sock: socket.socket, patience: float | None = None) -> None:
        """patience: seconds that the other side may take to make room for a message, without end by default."""
        sock.settimeout(patience)
        self.sock, self._parser, self._fds = sock, Parser(), []
        self._kept: list[dict] = []  # arrived while another message was waited for

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def send(self, message: dict, fd: int | None = None) -> None:
        data = pack(message)
        if fd is not None:
            data = data[self._pass(data, fd) :]
        try:
            self.sock.sendall(data)
        except OSError as error:
            if isinstance(error, TimeoutError):
                with suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)  # it has half a message, and both sides are to know
            raise Closed from error

    def _pass(self, data: bytes, fd: int) -> int:
        """Send a descriptor, and as many of the bytes as go with it."""
        try:
            return socket.send_fds(self.sock, [data], [fd])
        except (ConnectionError, TimeoutError) as error:
            raise Closed from error
        except OSError as error:  # too many are under way, of all programs of the user
            raise Unsent(error.strerror) from error

    def receive(self) -> list[dict]:
        """The messages that one read brings; may be none."""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, 8)
        except OSError as error:
            raise Closed from error
        self._fds += fds
        if not data:
            raise Closed
        self._parser.feed(data)
        return list(iter(self._parser.next, None))

    def wait(self) -> dict:
        """The next message, however long it takes. Only for a side that is sent one message at a time."""
        while True:
            message = self._kept.pop(0) if self._kept else self._parser.next()
            if message is not None:
                return message
            data = self.sock.recv(1 << 16)
            if not data:
                raise Closed
            self._parser.feed(data)

    def poll(self) -> dict | None:
        """The next message if it has arrived."""
        message = self._kept.pop(0) if self._kept else self._parser.next()
        while message is None and select.select([self.sock], [], [], 0)[0]:
            data = self.sock.recv(1 << 16)
            if not data:
                raise Closed
            self._parser.feed(data)
            message = self._parser.next()
        return message

    def expect(self, kind: str, seconds: float | None) -> dict | None:
        """The next message of a kind, None if none comes in time (None: for ever). Others are kept for wait and poll."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            message = self._parser.next()
            if message is None:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not select.select([self.sock], [], [], left)[0]:
                    return None
                data = self.sock.recv(1 << 16)
                if not data:
                    raise Closed
                self._parser.feed(data)
            elif message["t"] == kind:
                return message
            else:
                self._kept.append(message)

    def take_fd(self) -> int:
        """The oldest descriptor that came with a message."""
        return self._fds.pop(0)
