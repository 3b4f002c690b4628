"""Runs `qbo-backfill` inside Mage, as one custom block.

Standard library only: nothing here can quarrel with what Mage itself has installed.
"""

from .block import backfill
from .errors import (
    BackfillError,
    Bug,
    ConsentNeeded,
    DestinationUnavailable,
    HeldElsewhere,
    Incomplete,
    OutputLost,
    Refused,
    SourceUnavailable,
    Stopped,
    UsageError,
    VaultUnusable,
)
from .process import COLUMNS, Result, run

__all__ = [
    "COLUMNS",
    "BackfillError",
    "Bug",
    "ConsentNeeded",
    "DestinationUnavailable",
    "HeldElsewhere",
    "Incomplete",
    "OutputLost",
    "Refused",
    "Result",
    "SourceUnavailable",
    "Stopped",
    "UsageError",
    "VaultUnusable",
    "backfill",
    "run",
]
