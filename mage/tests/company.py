"""The emulated company and its database, which the test that started these holds: see backfill-cli/tests/e2e/mage.rs.

It is asked by lines of JSON, this process's stdout and stdin; results of the tests go to stderr.
"""

import json
import os
import sys
import unittest

HANDED = "QBO_BACKFILL_BRIDGE_TEST"


class Company:
    def __init__(self):
        handed = json.loads(os.environ[HANDED])
        self.binary, self.url, self.database, self.home = (handed[key] for key in ("binary", "url", "database", "home"))
        self.secrets = handed["secrets"]
        #: One that has the app's keys and the database's password; tests start with none.
        self.vault = handed["vault"]

    def ask(self, word, **more):
        """Has something done, or learns something."""
        print(json.dumps({"do": word, **more}), flush=True)
        return json.loads(sys.stdin.readline())

    def number(self, sql):
        return self.ask("number", sql=sql)

    def variables(self, **more):
        """The `kwargs` of a block."""
        return {
            "pipeline_uuid": "qb_invoices_backfill",
            "fecha_inicio": "2024-01-01T00:00:00Z",
            "fecha_fin": "2025-01-01T00:00:00Z",
            "qbo_binary": self.binary,
            "qbo_api_url": self.url,
            "qbo_oauth_url": self.url,
            "qbo_database": self.database,
            **more,
        }


class Logger:
    """As Mage's: a method for each level, further fields as keyword arguments."""

    def __init__(self):
        self.lines = []
        for level in ("debug", "info", "warning", "error"):
            setattr(self, level, self._at(level))

    def _at(self, level):
        return lambda message, **fields: self.lines.append((level, message, fields))

    def at(self, level):
        return [message for one, message, _ in self.lines if one == level]


@unittest.skipUnless(os.environ.get(HANDED), "needs the emulated company: cargo test -p backfill-cli --test e2e mage")
class CompanyTest(unittest.TestCase):
    def setUp(self):
        self.company = Company()
        os.environ["HOME"] = self.company.home
        self.logger = Logger()

    def backfill(self, **more):
        from qbo_backfill_mage import backfill

        variables = self.company.variables(logger=self.logger, **more)
        return rows(backfill(variables, get_secret=self.company.secrets.get))

    def assertNoSecret(self, text, but=()):
        for name, value in self.company.secrets.items():
            if name not in but:
                self.assertNotIn(value, text, name)


def rows(table):
    return table if isinstance(table, list) else table.to_dict("records")
