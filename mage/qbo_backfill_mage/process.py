"""The binary as a child process: what goes in, what comes out, and how it ends with its parent."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from . import errors, telling

#: What the binary is handed of this process's environment: nothing else, and so no secret that Mage may hold there.
ENVIRONMENT = ("PATH", "HOME", "LANG")

#: The columns of the result: numbers of windows, never what is in a record.
COLUMNS = ("pipeline", "start", "end", "status", "read", "inserted", "updated", "unchanged", "quarantined", "pages", "message")

#: Values under these names are masked. The others (host, port, database, user, environment) are words that messages need.
MASKED = ("QBO_CLIENT_ID", "QBO_CLIENT_SECRET", "QBO_REALM_ID", "QBO_REFRESH_TOKEN", "PG_PASSWORD")

#: What every call says: how secrets come, what shows that the parent lives, and that a program reads the answer.
CONTRACT = ("--secrets", "stdin", "--lifeline", "stdin", "--output", "json", "--log-format", "json")

#: How long a child that was told to end may take to finish the page in hand, in seconds.
GRACE = 60.0

Tell = Callable[[str, str, Dict[str, Any]], None]


@dataclass
class Result:
    """A run that ended with 0."""

    windows: List[Dict[str, Any]]
    #: The last event, `run_finished`.
    finished: Dict[str, Any]


@dataclass
class _Heard:
    windows: Dict[Any, Dict[str, Any]] = field(default_factory=dict)
    finished: Dict[str, Any] = field(default_factory=dict)
    last_line: str = ""
    error_line: str = ""


def run(
    binary: str,
    arguments: Sequence[str],
    secrets: Mapping[str, str],
    tell: Tell,
    environment: Optional[Mapping[str, str]] = None,
) -> Result:
    """Runs `qbo-backfill` with these arguments and hands it the secrets over stdin.

    Everything it says goes to `tell(level, message, fields)`, in the thread that called. Raises an error of `errors` where it ends
    with anything but 0. stdin stays open until then: if this process is killed, it closes, and the child ends cleanly by itself.
    """
    mask = telling.Masker(secrets[name] for name in MASKED if secrets.get(name))
    words = [binary, *arguments, *CONTRACT]
    leaked = [name for name in MASKED if secrets.get(name) and any(secrets[name] in word for word in words)]
    if leaked:
        raise ValueError(f"{leaked[0]} would stand in the process list: it does not belong into the arguments")

    child = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(environment),
        close_fds=True,
    )
    heard = _Heard()
    said: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
    readers = [
        threading.Thread(target=_read, args=(stream, kind, said), daemon=True)
        for stream, kind in ((child.stdout, "event"), (child.stderr, "line"))
    ]
    try:
        for reader in readers:
            reader.start()
        _hand_over(child, secrets)
        open_streams = len(readers)
        while open_streams:
            kind, line = said.get()
            if line is None:
                open_streams -= 1
            else:
                _hear(kind, line, mask, tell, heard)
        code = child.wait()
    finally:
        _end(child, readers)
    if code != 0:
        raise errors.of(code if code >= 0 else 128 - code, heard.error_line or heard.last_line)
    return Result(windows=list(heard.windows.values()), finished=heard.finished)


def _environment(more: Optional[Mapping[str, str]]) -> Dict[str, str]:
    own = {name: os.environ[name] for name in ENVIRONMENT if os.environ.get(name)}
    return {**own, "TZ": "UTC", **(more or {})}


def _hand_over(child: subprocess.Popen, secrets: Mapping[str, str]) -> None:
    line = json.dumps({name: value for name, value in secrets.items() if value}) + "\n"
    try:
        child.stdin.write(line.encode())
        child.stdin.flush()
    except BrokenPipeError:
        # It ended before it read; its exit code says why.
        pass


def _read(stream: Any, kind: str, said: "queue.SimpleQueue[Any]") -> None:
    """Reads to the end, whatever becomes of the listener: a full pipe would stop the child."""
    try:
        for line in stream:
            said.put((kind, line.decode("utf-8", "replace").rstrip("\r\n")))
    except ValueError:
        # Closed under the reader, at the end of the whole process.
        pass
    finally:
        said.put((kind, None))


def _hear(kind: str, line: str, mask: telling.Masker, tell: Tell, heard: _Heard) -> None:
    if not line.strip():
        return
    try:
        said = mask(json.loads(line))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        level, message = telling.spoken(mask(line))
        heard.last_line = message
        if level == "error":
            heard.error_line = message
        tell(level, message, {})
    elif kind == "event":
        _note(said, heard)
        tell(*telling.event(said), telling.fields(said))
    else:
        tell(*telling.logged(said), telling.fields(said))


def _note(event: Dict[str, Any], heard: _Heard) -> None:
    if event.get("ev") == "window":
        # A window that is read twice counts with what was found the second time.
        place = (event.get("pipeline"), event.get("start"), event.get("end"))
        heard.windows[place] = telling.window_columns(event, COLUMNS)
    elif event.get("ev") == "run_finished":
        heard.finished = event


def _end(child: subprocess.Popen, readers: Sequence[threading.Thread]) -> None:
    """Leaves no child behind, also where the listener failed: first by the lifeline, then by force."""
    try:
        child.stdin.close()
    except BrokenPipeError:
        pass
    for force in (None, child.terminate, child.kill):
        if force is not None:
            force()
        try:
            child.wait(timeout=GRACE)
            break
        except subprocess.TimeoutExpired:
            continue
    for reader, stream in zip(readers, (child.stdout, child.stderr)):
        reader.join()
        stream.close()
