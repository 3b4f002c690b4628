"""What the binary says, as lines of Mage's log."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Optional, Tuple
from urllib.parse import quote

MASK = "***"

Line = Tuple[str, str]


class Masker:
    """Replaces secret values in all text that comes from the binary.

    The binary does not print secrets; this is a second line of defence.
    """

    def __init__(self, secrets: Iterable[str]):
        forms = set()
        for value in secrets:
            # The plain value, and the value as JSON and URLs escape it.
            forms.update((value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")))
        # The longest first, because one value may be part of another.
        self._forms = sorted((form for form in forms if form.strip()), key=len, reverse=True)

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, MASK)
            return value
        if isinstance(value, dict):
            return {self(key): self(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self(one) for one in value]
        return value


def event(event: Dict[str, Any]) -> Line:
    """Level and message of an event. Mage's log list cuts a message after some 80 characters, so numbers come first."""
    known = _EVENTS.get(str(event.get("ev")))
    try:
        return known(event) if known else ("info", str(event.get("ev", "event")))
    except (TypeError, ValueError):
        # A later version may send fields that this one cannot format; `fields` still passes all of them on.
        return "info", str(event["ev"])


def fields(event: Dict[str, Any]) -> Dict[str, Any]:
    """All fields of an event, under names that no other field of Mage's log has."""
    return {f"qbo_{key}": value for key, value in event.items()}


def spoken(line: str) -> Line:
    """Level and message of a line on stderr that is for people."""
    for level in ("error", "warning"):
        if line.startswith(f"{level}:"):
            return level, line
    return "info", line


def logged(line: Dict[str, Any]) -> Line:
    """Level and message of a line of the binary's own log."""
    levels = {"ERROR": "error", "WARN": "warning", "DEBUG": "debug", "TRACE": "debug"}
    return levels.get(str(line.get("level")), "info"), str(line.get("message", "log"))


def window_columns(event: Dict[str, Any], columns: Iterable[str]) -> Dict[str, Any]:
    return {column: event.get(column) for column in columns}


def _window(event: Dict[str, Any]) -> Line:
    status, read = event.get("status"), event.get("read", 0)
    message = (
        f"{_short(event)} {_span(event)} {status} read={read} ins={event.get('inserted', 0)} "
        f"upd={event.get('updated', 0)} same={event.get('unchanged', 0)}"
    )
    if event.get("quarantined"):
        message += f" quarantined={event['quarantined']}"
    if event.get("message"):
        message += f" {event['message']}"
    if status == "failed" or event.get("quarantined"):
        return "error", message
    return ("info" if read else "warning"), message


def _page(event: Dict[str, Any]) -> Line:
    return "info", (
        f"{_short(event)} page {event.get('page')} rows={event.get('rows', 0)} ins={event.get('inserted', 0)} "
        f"upd={event.get('updated', 0)} same={event.get('unchanged', 0)} ms={event.get('ms')}"
    )


def _started(event: Dict[str, Any]) -> Line:
    pipelines = event.get("pipelines") or []
    names = ", ".join(pipelines[:3]) + (f" and {len(pipelines) - 3} more" if len(pipelines) > 3 else "")
    return "info", f"windows={event.get('windows')} calls>={event.get('estimated_calls')} {names} run {event.get('run_id')}"


def _finished(event: Dict[str, Any]) -> Line:
    totals = event.get("totals") or {}
    counts = " ".join(
        f"{word}={totals.get(key, 0)}"
        for word, key in (("ins", "inserted"), ("upd", "updated"), ("same", "unchanged"), ("quarantined", "quarantined"))
    )
    message = f"{event.get('status')} {counts} calls={event.get('calls')} run {event.get('run_id')}"
    return ("error" if event.get("exit_code") else "info"), message


def _calls(event: Dict[str, Any]) -> Line:
    return "info", f"calls of this month: used={event.get('used')} left={event.get('left')}"


def _wait(event: Dict[str, Any]) -> Line:
    who = f" {_short(event)} is held by {event['holder']}" if event.get("holder") else ""
    return "warning", f"waits {event.get('seconds', 0):.1f} s: {event.get('reason')}{who}"


def _retry(event: Dict[str, Any]) -> Line:
    what = event.get("entity") or _short(event)
    return "warning", f"retry {event.get('attempt')} of {what}: {event.get('reason')}"


def _breaker(event: Dict[str, Any]) -> Line:
    words = {"open": "QuickBooks keeps failing: calls are paused", "half_open": "trying QuickBooks again"}
    level = "error" if event.get("state") == "open" else "info"
    return level, words.get(str(event.get("state")), "QuickBooks answers again")


def _finding(event: Dict[str, Any]) -> Line:
    place = " ".join(str(one) for one in (_short(event), event.get("day")) if one)
    return "warning", f"{event.get('kind')} {place}: {event.get('detail')}"


def _split(event: Dict[str, Any]) -> Line:
    return "debug", f"{_short(event)} is read in two parts from {event.get('at')}"


def _settling(event: Dict[str, Any]) -> Line:
    return "info", f"settling windows={event.get('windows')} too near to now, done in {event.get('seconds')} s"


def _error(event: Dict[str, Any]) -> Line:
    # Its line on stderr is in the log as well.
    return "debug", str(event.get("message"))


_EVENTS = {
    "run_started": _started,
    "page": _page,
    "window": _window,
    "calls": _calls,
    "wait": _wait,
    "retry": _retry,
    "breaker": _breaker,
    "finding": _finding,
    "split": _split,
    "settling": _settling,
    "run_finished": _finished,
    "error": _error,
}


def _short(event: Dict[str, Any]) -> str:
    """`invoices` for `qb_invoices_backfill`."""
    name = str(event.get("pipeline") or "")
    return name[3:-9] if name.startswith("qb_") and name.endswith("_backfill") else name


def _span(event: Dict[str, Any]) -> str:
    start, end = _instant(event.get("start")), _instant(event.get("end"))
    return start if not end or _is_next_day(start, end) else f"{start}..{end}"


def _instant(value: Optional[str]) -> str:
    return str(value or "").replace("T00:00:00Z", "")


def _is_next_day(start: str, end: str) -> bool:
    from datetime import date, timedelta

    try:
        return date.fromisoformat(start) + timedelta(days=1) == date.fromisoformat(end)
    except ValueError:
        return False
