# SPDX-License-Identifier: MIT
"""A scene that attacks whoever renders it for others.

What it does there is in attack.json, which the test exchanges between the plan and the work: {"attack": name of a
function below, ...}. Python's own calls are led elsewhere by the engine; `posix` and `ctypes` are not.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import glob
import json
import os
import posix
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from manim import DOWN, PI, Circle, Rotate, Scene, Square, SVGMobject, Text

libc = ctypes.CDLL(None, use_errno=True)

with open("attack.json") as file:
    ORDER = json.load(file)


class Report(Exception):
    """Carries what came of an attack to the test."""

    def __init__(self, outcome: object) -> None:
        super().__init__("REPORT " + json.dumps(outcome) + " END")


class Hostile(Scene):
    def construct(self) -> None:
        self.add(Square())
        attack = ATTACKS.get(ORDER["attack"])
        if attack is not None:
            raise Report(attack(self))
        self.play(Rotate(Circle(), PI), run_time=0.8)
        self.wait(0.1)


def read(path: str) -> str:
    fd = posix.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 100).decode(errors="replace")
    finally:
        os.close(fd)


def write(path: str, text: str = "poison") -> None:
    fd = posix.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, text.encode())
    os.close(fd)


class NotTried(Exception):
    """Where nothing stops it, it would do harm."""


def poison(path: str) -> None:
    """Write a file that the next engine would use; where nothing stops that, only see whether it could be."""
    if not ORDER.get("harmless"):
        write(path)
    elif not posix.access(os.path.dirname(path), os.W_OK):
        raise PermissionError("not writable for this user anyway")


def harmful(attempt: Callable[[], None]) -> None:
    if ORDER.get("harmless"):
        raise NotTried("not without a sandbox")
    attempt()


def system_call(number: int, *args: object) -> None:
    """One of amd64, by its number."""
    if os.uname().machine != "x86_64":
        raise OSError(errno.ENOSYS, "not tried on this machine")
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise OSError(done.returncode, (done.stderr + done.stdout).strip()[:100] or "failed")


def other_user(*command: str) -> None:
    """Run a program that would make us root."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if "uid=0" not in done.stdout:
        raise PermissionError((done.stderr + done.stdout).strip()[:100])


def shared_memory() -> None:
    import _posixshmem

    os.close(_posixshmem.shm_open("/meshnode-test", os.O_CREAT | os.O_RDWR, 0o600))
    _posixshmem.shm_unlink("/meshnode-test")


def semaphore() -> None:
    import multiprocessing

    multiprocessing.Semaphore()


def environment() -> None:
    leaks = [name for name in os.environ if "SECRET" in name or "MESHNODE" in name]
    if not leaks:
        raise LookupError("nothing of the node")


def connect() -> None:
    with socket.create_connection(tuple(ORDER["listener"]), timeout=5):
        pass


def resolve() -> None:
    socket.getaddrinfo("localhost", 80)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def sparse() -> None:
    path = os.path.join(ORDER["out"], "sparse")
    fd = posix.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.ftruncate(fd, 1 << 40)
    finally:
        os.close(fd)
        posix.unlink(path)


def deep() -> None:
    at = posix.open(ORDER["out"], os.O_RDONLY)
    for _ in range(30):
        posix.mkdir("deep", 0o700, dir_fd=at)
        below = posix.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    raise LookupError("made; the limit is tested elsewhere")


def bind() -> None:
    with socket.socket(socket.AF_UNIX) as sock, contextlib.chdir(ORDER["out"]):
        sock.bind("socket")


def hard_link(path: str) -> None:
    target = os.path.join(ORDER["out"], "hard")
    with contextlib.suppress(FileNotFoundError):
        posix.unlink(target)
    posix.link(path, target)


def descriptors() -> None:
    """Those of the hub and of other walkers; standard streams and one's own channel are no prize."""
    found = []
    for fd in range(3, 512):
        with contextlib.suppress(OSError):
            mode = os.fstat(fd).st_mode
            if stat.S_ISFIFO(mode):
                found.append(fd)
    if not found:
        raise LookupError("no pipe of the engine")


def memory_of_hub() -> None:
    os.close(posix.open(f"/proc/{os.getppid()}/mem", os.O_WRONLY))


def open_every_proc() -> None:
    wanted = [
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/1/cwd/etc/passwd",
        "/proc/self/maps",
        "/proc/version",
    ]
    errors = []
    for path in wanted:
        try:
            read(path)
        except OSError as error:
            errors.append(error)
    if len(errors) == len(wanted):
        raise errors[0]


def hidden_module() -> None:
    """Python finds modules of this folder first in the next engine, if it can be written to."""
    poison(os.path.join(os.path.dirname(ORDER["engine"]), "sitecustomize.py"))


def site_packages() -> None:
    import numpy

    poison(os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), "poison.pth"))


def byte_code() -> None:
    import numpy

    poison(glob.glob(os.path.join(os.path.dirname(numpy.__file__), "**", "*.pyc"), recursive=True)[0])


def font_cache() -> None:
    for folder in ("/var/cache/fontconfig", os.path.expanduser("~/.cache/fontconfig")):
        if os.path.isdir(folder):
            poison(os.path.join(folder, "poison"))
            return
    raise FileNotFoundError("no font cache")


SURVEY = {
    "read a secret of the user": lambda: read(ORDER["secret"]),
    "list the user's home": lambda: posix.listdir(os.path.dirname(ORDER["secret"])),
    "write into the user's home": lambda: write(os.path.join(os.path.dirname(ORDER["secret"]), ".profile")),
    "the node's environment": environment,
    "poison: a module for the next engine": hidden_module,
    "poison: a file that Python runs at its start": site_packages,
    "poison: compiled modules": byte_code,
    "poison: the font cache": font_cache,
    "shared memory of Python": shared_memory,
    "a semaphore of Python": semaphore,
    "memfd": lambda: system_call(319, b"x", 0),
    "epoll": lambda: select.epoll().close(),
    "connect to the node": connect,
    "names and datagrams": resolve,
    "bind a socket in out": bind,
    "a link in out": lambda: posix.symlink("/etc/passwd", os.path.join(ORDER["out"], "link")),
    "a pipe in out": lambda: posix.mkfifo(os.path.join(ORDER["out"], "pipe")),
    "a second name of a secret in out": lambda: hard_link(ORDER["secret"]),
    "a second name of the engine in out": lambda: hard_link(ORDER["engine"]),
    "a file of 1 TiB in out": sparse,
    "su": lambda: harmful(lambda: other_user("su", "-c", "id")),
    "sudo": lambda: harmful(lambda: other_user("sudo", "-n", "id")),
    "mount": lambda: harmful(lambda: run("mount", "-t", "tmpfs", "none", tempfile.gettempdir())),
    "unshare": lambda: run("unshare", "--user", "--map-root-user", "true"),
    "trace the hub": lambda: system_call(101, 0x4206, os.getppid(), 0, 0),
    "write to the hub's memory": memory_of_hub,
    "tricks with /proc": open_every_proc,
    "leave the session": lambda: os.setsid(),
    "keys of the kernel": lambda: system_call(248, b"user", b"x", b"x", 1, -3),
    "the engine's pipes": descriptors,
    "folders 30 deep": deep,
}


def survey(_: Scene) -> dict:
    """Try one after another what harms nobody if it works."""
    outcome = {}
    for name, attempt in SURVEY.items():
        try:
            attempt()
            outcome[name] = "through"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            outcome[name] = f"{type(error).__name__}: {error}"[:90]
    # For the next job to find.
    write(os.path.join(tempfile.gettempdir(), "left"), "left")
    atexit.register(lambda: os.fork() or time.sleep(600))
    return outcome


def look(_: Scene) -> dict:
    """What has the job before left? And how urgent is this one?"""
    found = []
    for place in (tempfile.gettempdir(), os.path.expanduser("~"), ORDER["out"]):
        with contextlib.suppress(OSError):
            found.append(read(os.path.join(place, "left")))
    return {"found": ", ".join(found), "nice": str(os.getpriority(os.PRIO_PROCESS, 0))}


def channel() -> socket.socket:
    """This walker's own way to the hub, through which anything can be said."""
    for fd in range(3, 512):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return socket.socket(fileno=os.dup(fd))
    raise LookupError("no channel")


def say(sock: socket.socket, message: dict) -> None:
    body = json.dumps(message).encode()
    sock.sendall(struct.pack(">I", len(body)) + body)


def forge(_: Scene) -> None:
    """Say that a cell is done, and is whatever file the test wants."""
    cell = {
        "t": "cell",
        "cell": 0,
        "frames": 1,
        "seconds": 1e308,
        "walk": -1,
        "raster": 0,
        "encode": 0,
        "own": None,
    }
    say(channel(), {**cell, "files": [[name, 1] for name in ORDER["files"]]})
    time.sleep(60)


def forge_needs(_: Scene) -> None:
    """Ask for files that are not of the project, and hear the answers or not."""
    sock = channel()
    if not ORDER.get("deaf"):
        threading.Thread(
            target=lambda: [None for _ in iter(lambda: sock.recv(4096), b"")], daemon=True
        ).start()
    for path in ORDER["paths"]:
        say(sock, {"t": "need", "path": path})
    time.sleep(60)


def chatter(_: Scene) -> None:
    sock = channel()
    while True:
        say(sock, {"t": "note", "text": "x" * 100_000})


def half_a_message(_: Scene) -> None:
    channel().sendall(struct.pack(">I", 1 << 19) + b"{")
    time.sleep(600)


def escape_codes(_: Scene) -> None:
    raise RuntimeError("\x1b]0;owned\x07\x1b[2J\r\u202eowned\n" * 5000)


def endless(_: Scene) -> None:
    while True:
        pass


def kill_the_hub(_: Scene) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def stop_the_hub(_: Scene) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(600)


def crash(_: Scene) -> None:
    ctypes.string_at(0)


def recursion(_: Scene) -> None:
    sys.setrecursionlimit(1 << 30)
    threading.stack_size(64 << 20)

    def down(n: int) -> int:
        return [down(n + 1)][0]

    down(0)


def allocate(_: Scene) -> None:
    held = [bytearray(50 << 20) for _ in range(1000)]
    time.sleep(len(held))


def log_flood(_: Scene) -> None:
    block = b"x" * (1 << 20)
    while True:  # one line
        os.write(2, block)


def fork_bomb(_: Scene) -> None:
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def fill(_: Scene) -> None:
    block = b"x" * (1 << 20)
    for n in range(10_000):
        fd = posix.open(os.path.join(ORDER["out"], f"fill{n}"), os.O_WRONLY | os.O_CREAT)
        for _ in range(100):
            os.write(fd, block)


def huge_svg(scene: Scene) -> None:
    """Ten groups of ten groups of ... shapes."""
    levels = "".join(f'<g id="l{n + 1}">' + f'<use href="#l{n}"/>' * 10 + "</g>" for n in range(9))
    path = os.path.join(tempfile.gettempdir(), "huge.svg")
    write(path, f'<svg xmlns="http://www.w3.org/2000/svg"><g id="l0"><path d="M0 0L1 1"/></g>{levels}</svg>')
    scene.add(SVGMobject(path))


def broken_fonts(scene: Scene) -> str:
    """Fonts with bytes changed, and text in each: the parser may crash."""
    import random

    import manimpango

    random.seed(ORDER.get("seed", 1))
    fonts = glob.glob("/usr/share/fonts/**/*.ttf", recursive=True) + glob.glob(
        os.path.join(sys.prefix, "**", "*.ttf"), recursive=True
    )
    for n in range(20):
        with open(fonts[n % len(fonts)], "rb") as file:
            data = bytearray(file.read())
        for _ in range(200):
            data[random.randrange(min(len(data), 20_000))] = random.randrange(256)
        path = os.path.join(tempfile.gettempdir(), f"broken{n}.ttf")
        with open(path, "wb") as file:
            file.write(data)
        with contextlib.suppress(Exception):
            manimpango.register_font(path)
            scene.add(Text("broken", font=f"broken{n}").shift(n * DOWN / 10))
    return f"{len(fonts)} fonts"


ATTACKS = {
    f.__name__: f
    for f in (
        survey,
        look,
        forge,
        forge_needs,
        chatter,
        half_a_message,
        escape_codes,
        endless,
        kill_the_hub,
        stop_the_hub,
        crash,
        recursion,
        allocate,
        log_flood,
        fork_bomb,
        fill,
        huge_svg,
        broken_fonts,
    )
}
