"""The exit codes of `qbo-backfill`, as exceptions: a block that raises is a failed block."""

from __future__ import annotations


class BackfillError(Exception):
    """The run did not end with 0.

    `line` is the binary's own message (one line: what happened, what is safe, what to run next), and `next_step` says what to
    do inside Mage.
    """

    next_step = "Run the pipeline again: completed windows are not read again."

    def __init__(self, exit_code: int, line: str):
        self.exit_code = exit_code
        self.line = line
        super().__init__(f"exit code {exit_code}: {line or 'no message'} -- In Mage: {self.next_step}")


class UsageError(BackfillError):
    next_step = "Correct the pipeline's variables or the Mage secrets. Nothing was touched."


class Incomplete(BackfillError):
    next_step = (
        "Everything else is stored. See the windows with level ERROR in this log, then run the pipeline again: it reads only the "
        "windows that are not completed."
    )


class ConsentNeeded(BackfillError):
    next_step = (
        "A person has to consent again. Then delete the Mage secret QBO_REFRESH_TOKEN and create it with the new token "
        "(or correct QBO_CLIENT_ID and QBO_CLIENT_SECRET), and run the pipeline again. Do not retry before that."
    )


class Refused(BackfillError):
    next_step = "Check that QBO_REALM_ID, QBO_ENVIRONMENT and the app's keys belong together."


class SourceUnavailable(BackfillError):
    next_step = "Run the pipeline again later. What was read is stored."


class DestinationUnavailable(BackfillError):
    next_step = "Check the database and the Mage secrets PG_HOST, PG_PORT, PG_DATABASE, PG_USER and PG_PASSWORD."


class VaultUnusable(BackfillError):
    next_step = (
        "The vault keeps the rotated token. It has to persist between runs, and no other host may use a copy of it. A Mage "
        "secret does not replace it."
    )


class HeldElsewhere(BackfillError):
    next_step = "Another process works on the same pipeline or vault. Wait for it, then run the pipeline again."


class Bug(BackfillError):
    next_step = "Please report this bug. The stored data is sound; run the pipeline again."


class OutputLost(BackfillError):
    next_step = "The work is done. Make room where Mage keeps its logs, then run the pipeline again."


class Stopped(BackfillError):
    next_step = "It was stopped and ended cleanly. Run the pipeline again to continue."


_BY_CODE = {
    2: UsageError,
    3: Incomplete,
    4: ConsentNeeded,
    5: Refused,
    6: SourceUnavailable,
    7: DestinationUnavailable,
    8: VaultUnusable,
    9: HeldElsewhere,
    70: Bug,
    74: OutputLost,
    130: Stopped,
    143: Stopped,
}


def of(exit_code: int, line: str) -> BackfillError:
    """The exception of an exit code; one that the contract does not know is a plain `BackfillError`."""
    return _BY_CODE.get(exit_code, BackfillError)(exit_code, line)
