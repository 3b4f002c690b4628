"""What a custom block calls: Mage's secrets and variables in, numbers of windows out."""

from __future__ import annotations

import os
import shutil
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from . import process

#: Secrets that the binary knows by name. In Mage each is a secret of the same name; those of the database may be missing where a
#: database is named otherwise.
SECRETS = (
    "QBO_CLIENT_ID",
    "QBO_CLIENT_SECRET",
    "QBO_REALM_ID",
    "QBO_REFRESH_TOKEN",
    "QBO_ENVIRONMENT",
    "PG_HOST",
    "PG_PORT",
    "PG_DATABASE",
    "PG_USER",
    "PG_PASSWORD",
)

#: What may be set for a pipeline, as a variable `qbo_<name>`, or for the whole of Mage, as an environment variable
#: `QBO_BACKFILL_<NAME>`. None is a secret.
PLACES = ("config", "profile", "environment", "database", "schema", "vault", "vault_key_file")

#: What a variable `qbo_<name>` may say of a run.
OPTIONS = ("chunk", "by", "page_size", "concurrency", "rate", "monthly_calls", "wait", "seed", "api_url", "oauth_url", "log_level")

#: The same, for what is either asked for or not.
SWITCHES = ("force", "no_count", "settle", "no_settle")


def backfill(
    variables: Mapping[str, Any],
    pipelines: Optional[Sequence[str]] = None,
    get_secret: Optional[Callable[[str], Optional[str]]] = None,
):
    """Backfills `[fecha_inicio, fecha_fin)` and returns its windows: a pandas DataFrame, or a list of dicts where there is no pandas.

    `variables` are the block's `kwargs`. Without `pipelines` the Mage pipeline's own name is what is backfilled.
    """
    names = list(pipelines or _words(variables.get("qbo_pipelines")) or [variables["pipeline_uuid"]])
    arguments = ["run", *names, *_range(variables), *_options(variables)]
    get_secret = get_secret or _mage_secret
    secrets = {name: value for name in SECRETS if (value := get_secret(name))}
    result = process.run(_binary(variables), arguments, secrets, _teller(variables.get("logger")))
    return _table(result.windows)


def _range(variables: Mapping[str, Any]) -> List[str]:
    missing = [name for name in ("fecha_inicio", "fecha_fin") if not variables.get(name)]
    if missing:
        raise ValueError(f"the variable {' and '.join(missing)} is missing: give the trigger both ends of the range, such as 2026-01-01")
    return ["--from", str(variables["fecha_inicio"]), "--to", str(variables["fecha_fin"])]


def _options(variables: Mapping[str, Any]) -> List[str]:
    words: List[str] = []
    for name in PLACES + OPTIONS:
        value = variables.get(f"qbo_{name}")
        if value is None and name in PLACES:
            value = os.environ.get(f"QBO_BACKFILL_{name.upper()}")
        if value not in (None, ""):
            # One word: a value that begins with a dash is no flag.
            words.append(f"--{name.replace('_', '-')}={value}")
    words += [f"--{name.replace('_', '-')}" for name in SWITCHES if _is_set(variables.get(f"qbo_{name}"))]
    return words


def _is_set(value: Any) -> bool:
    return value is True or str(value).strip().lower() in ("1", "true", "yes", "si", "sí")


def _words(value: Any) -> List[str]:
    return value.replace(",", " ").split() if isinstance(value, str) else list(value or [])


def _binary(variables: Mapping[str, Any]) -> str:
    named = variables.get("qbo_binary") or os.environ.get("QBO_BACKFILL_BINARY")
    found = shutil.which(str(named or "qbo-backfill"))
    if not found:
        raise FileNotFoundError(
            f"{named or 'qbo-backfill'} is not there: put the binary on Mage's PATH, or name it by QBO_BACKFILL_BINARY"
        )
    return found


def _mage_secret(name: str) -> Optional[str]:
    from mage_ai.data_preparation.shared.secrets import get_secret_value

    # Some are allowed to be missing; the binary says which one it cannot do without.
    return get_secret_value(name, suppress_warning=True)


def _teller(logger: Any) -> process.Tell:
    def tell(level: str, message: str, fields: Dict[str, Any]) -> None:
        if logger is None:
            # One argument: Mage makes a line of each.
            print(f"{level.upper()} {message}")
        else:
            getattr(logger, level)(message, **fields)

    return tell


def _table(windows: List[Dict[str, Any]]):
    try:
        from pandas import DataFrame
    except ImportError:
        return windows
    return DataFrame(windows, columns=list(process.COLUMNS))
