"""The bridge against the real binary, the emulated company and a real PostgreSQL; no Mage."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from company import HANDED, CompanyTest

from qbo_backfill_mage import ConsentNeeded, UsageError

#: What a run leaves to say of the names that are no secret by themselves.
PLAIN = ("PG_USER", "PG_DATABASE")


class Numbers(CompanyTest):
    def test_the_numbers_of_the_windows_are_those_of_the_database(self):
        windows = self.backfill()
        self.assertEqual(len(windows), 366)
        in_tables = self.company.number("SELECT count(*) FROM raw.qb_invoices")
        self.assertEqual(sum(window["read"] for window in windows), in_tables)
        self.assertEqual(sum(window["inserted"] for window in windows), in_tables)
        self.assertEqual({window["status"] for window in windows}, {"completed"})
        for window in windows[:10]:
            logged = self.company.number(
                "SELECT records_read::bigint FROM raw.backfill_log WHERE entity_name = 'invoices' "
                f"AND window_start_utc = '{window['start']}'"
            )
            self.assertEqual(logged, window["read"], window)

        empty = [window for window in windows if window["read"] == 0]
        told = [line for line in self.logger.lines if line[2].get("qbo_ev") == "window"]
        self.assertEqual(len(told), len(windows))
        self.assertEqual(sum(level == "warning" for level, _, _ in told), len(empty))
        self.assertTrue(empty, "the company has no quiet day, so this test says nothing")
        full = next(line for line in told if line[2]["qbo_read"] > 0)
        day = full[2]["qbo_start"][:10]
        read = full[2]["qbo_read"]
        self.assertEqual(full[0], "info")
        self.assertTrue(full[1].startswith(f"invoices {day} completed read={read} ins={read} upd=0"), full[1])

        # Everything is complete: nobody is asked, and there is nothing to show.
        self.assertEqual(self.backfill(), [])
        self.assertEqual(self.logger.at("error"), [])


class Secrecy(CompanyTest):
    def test_no_secret_is_where_others_can_look(self):
        os.environ["MAGE_HOLDS_THIS"] = "not for the child"
        self.company.ask("hold", after=1)
        windows = []
        worker = threading.Thread(target=lambda: windows.extend(self.backfill()))
        worker.start()
        self.company.ask("arrived")
        (child,) = children()
        with open(f"/proc/{child}/cmdline", "rb") as words:
            words = words.read().decode().split("\0")
        self.assertEqual(words[1:3], ["run", "qb_invoices_backfill"])
        self.assertNoSecret("\n".join(words), but=PLAIN)
        try:
            with open(f"/proc/{child}/environ", "rb") as environment:
                environment = environment.read().decode()
        except PermissionError:
            # The binary closes itself to everybody but root.
            environment = ""
        else:
            names = {entry.split("=")[0] for entry in environment.split("\0") if entry}
            self.assertLessEqual(names, {"PATH", "HOME", "LANG", "TZ"})
        self.assertNoSecret(environment, but=PLAIN)
        self.company.ask("open")
        worker.join()
        self.assertEqual(len(windows), 366)
        self.assertNoSecret(repr(self.logger.lines), but=PLAIN)
        self.assertNoSecret(repr(windows), but=PLAIN)

    def test_a_secret_in_an_argument_is_refused_before_anything_starts(self):
        token = self.company.secrets["QBO_REFRESH_TOKEN"]
        with self.assertRaises(ValueError) as refused:
            self.backfill(qbo_profile=token)
        self.assertNotIn(token, str(refused.exception))


class Rotation(CompanyTest):
    def test_three_runs_with_the_same_secret_outlive_a_token_that_changes_at_every_refresh(self):
        bootstrap = self.company.secrets["QBO_REFRESH_TOKEN"]
        tokens = {bootstrap}
        for _ in range(3):
            self.company.ask("expire")
            self.backfill(qbo_force=True)
            tokens.add(self.company.ask("refresh_token"))
        self.assertEqual(len(tokens), 4, "the token did not change at every run")
        self.assertEqual(self.company.secrets["QBO_REFRESH_TOKEN"], bootstrap)
        self.assertEqual(self.company.number("SELECT count(*) FROM raw.backfill_run WHERE status = 'completed'"), 3)


class Vault(CompanyTest):
    def test_a_vault_that_has_everything_needs_no_secret_in_mage(self):
        places = {"qbo_vault": self.company.vault, "qbo_vault_key_file": self.company.vault + ".key"}
        consent = {name: self.company.secrets[name] for name in ("QBO_REALM_ID", "QBO_REFRESH_TOKEN")}
        self.company.secrets = consent
        self.backfill(**places)
        self.company.ask("expire")
        self.company.secrets = {}
        windows = self.backfill(qbo_force=True, **places)
        self.assertEqual(sum(window["unchanged"] for window in windows), 1500)


class Consent(CompanyTest):
    def test_a_consent_that_ended_is_a_failed_block_that_says_what_to_do(self):
        self.company.ask("revoke")
        with self.assertRaises(ConsentNeeded) as failed:
            self.backfill()
        self.assertEqual(failed.exception.exit_code, 4)
        self.assertTrue(failed.exception.line.startswith("error: "), failed.exception.line)
        self.assertIn("auth login", failed.exception.line)
        self.assertIn("QBO_REFRESH_TOKEN", str(failed.exception))
        self.assertNoSecret(str(failed.exception), but=PLAIN)
        self.assertTrue(any(message == failed.exception.line for message in self.logger.at("error")))


class Failures(CompanyTest):
    def test_a_range_that_is_none_touches_nothing(self):
        with self.assertRaises(UsageError) as failed:
            self.backfill(fecha_inicio="2024-02-30")
        self.assertIn("2024-02-30", failed.exception.line)
        with self.assertRaises(ValueError):
            self.backfill(fecha_fin="")

    def test_a_logger_that_fails_leaves_no_child_behind(self):
        def broken(*_, **__):
            raise OSError("the disk of the log is full")

        self.logger.info = broken
        with self.assertRaises(OSError):
            self.backfill()
        self.assertEqual(children(), [])


class Lifeline(CompanyTest):
    def test_a_killed_worker_takes_its_child_along_and_the_next_run_goes_on(self):
        # What a worker leaves behind comes to this process, which can then tell how it ended.
        self.assertEqual(ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0), 0)
        self.company.ask("hold", after=3)
        code = (
            "import json, sys\n"
            "from qbo_backfill_mage import backfill\n"
            "handed = json.loads(sys.stdin.readline())\n"
            "backfill(handed['variables'], get_secret=handed['secrets'].get)\n"
        )
        variables = self.company.variables(qbo_page_size=100, qbo_concurrency=1)
        environment = {name: value for name, value in os.environ.items() if name != HANDED}
        worker = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
        )
        worker.stdin.write(json.dumps({"variables": variables, "secrets": self.company.secrets}).encode() + b"\n")
        worker.stdin.flush()
        self.company.ask("arrived")
        (child,) = children(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdin.close()
        _, status = os.waitpid(child, 0)
        self.assertEqual(os.WEXITSTATUS(status), 130)
        self.company.ask("open")
        self.assertEqual(self.company.number("SELECT count(*) FROM raw.backfill_run WHERE status = 'stopped'"), 1)
        landed = self.company.number("SELECT count(*) FROM raw.qb_invoices")
        self.assertGreater(landed, 0)
        read = sum(window["read"] for window in self.backfill())
        self.assertLess(read, 1500, "what had landed was read again")
        self.assertEqual(self.company.number("SELECT count(*) FROM raw.qb_invoices"), 1500)


def children(parent="self"):
    """The living children of a process."""
    found = []
    for task in os.listdir(f"/proc/{parent}/task"):
        with open(f"/proc/{parent}/task/{task}/children") as pids:
            found += map(int, pids.read().split())
    return found


if __name__ == "__main__":
    unittest.main()
