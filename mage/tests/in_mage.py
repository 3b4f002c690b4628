"""The three pipelines in a real Mage: its server, its scheduler, its secrets, its log. Started by mage/try-in-mage.sh.

Installs Mage into a virtual environment of its own (1.4 GB, minutes), unless MAGE_VENV names one that has it.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.request
import venv

from company import CompanyTest

MAGE = "mage-ai==0.9.80"
TOP = pathlib.Path(__file__).resolve().parents[1]
#: The key of Mage's own page: it is the same everywhere, and public.
API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
OWNER = {"DEFAULT_OWNER_EMAIL": "owner@example.com", "DEFAULT_OWNER_USERNAME": "owner", "DEFAULT_OWNER_PASSWORD": "false owner's word"}
PATIENCE = 300


class Server:
    def __init__(self, test):
        home = pathlib.Path(test.company.home)
        self.data = home / "mage-data"
        self.project = home / "project"
        shutil.copytree(TOP / "project", self.project)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        programs = installed()
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "MAGE_DATA_DIR": str(self.data),
            "PYTHONPATH": str(TOP),
            "PYTHONDONTWRITEBYTECODE": "1",
            "REQUIRE_USER_AUTHENTICATION": "1",
            "JWT_SECRET": "false and long enough",
            "DISABLE_AUTO_BROWSER_OPEN": "1",
            "QBO_BACKFILL_BINARY": test.company.binary,
            "QBO_BACKFILL_DATABASE": test.company.database,
            **OWNER,
        }
        self.said = open(home / "server.log", "wb")
        self.process = subprocess.Popen(
            [programs / "mage", "start", str(self.project), "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=self.said, stderr=subprocess.STDOUT,
            # Its scheduler outlives it: they are ended together.
            start_new_session=True,
        )
        self.token = None

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/json", "X-API-KEY": API_KEY}
        if self.token:
            headers["Cookie"] = f"oauth_token={self.token}"
        data = None if body is None else json.dumps({**body, "api_key": API_KEY}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer = json.load(answer)
        if "error" in answer:
            raise AssertionError(f"{method} {path}: {answer['error'].get('message')}")
        return answer

    def log_in(self):
        until(lambda: self._answers(), "the server answers")
        session = {"email": OWNER["DEFAULT_OWNER_EMAIL"], "password": OWNER["DEFAULT_OWNER_PASSWORD"]}
        self.token = self.call("POST", "sessions", {"session": session})["session"]["token"]

    def _answers(self):
        assert self.process.poll() is None, "Mage has ended"
        try:
            return self.call("GET", "statuses") is not None
        except OSError:
            return False

    def stop(self):
        for force in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, force)
            except ProcessLookupError:
                break
            time.sleep(3)
        self.process.wait()
        self.said.close()

    def files(self):
        """What Mage has written: logs, outputs of blocks, its database."""
        for top in (self.data, self.project, pathlib.Path(self.said.name).parent / ".mage_data"):
            yield from (path for path in top.rglob("*") if path.is_file())
        yield pathlib.Path(self.said.name)

    def logged(self):
        lines = []
        for path in self.files():
            if path.suffix == ".log" and path.name.startswith("qbo_backfill"):
                for line in path.read_text().splitlines():
                    start = line.find("{")
                    if start >= 0:
                        lines.append(json.loads(line[start:]))
        return lines


class InMage(CompanyTest):
    def test_a_one_time_trigger_brings_the_rows_and_leaves_no_trace_of_them_in_mage(self):
        server = Server(self)
        self.addCleanup(server.stop)
        server.log_in()
        for name, value in self.company.secrets.items():
            server.call("POST", "secrets", {"secret": {"name": name, "value": value}})

        run = self.fire(server, "qb_invoices_backfill", completes=True)
        self.assertEqual([block["block_uuid"] for block in run["block_runs"]], ["qbo_backfill"])
        in_tables = self.company.number("SELECT count(*) FROM raw.qb_invoices")
        self.assertEqual(in_tables, 1500)
        lines = server.logged()
        windows = [line for line in lines if line.get("qbo_ev") == "window"]
        self.assertEqual(len(windows), 366)
        self.assertEqual(sum(line["qbo_read"] for line in windows), in_tables)
        self.assertEqual({line["level"] for line in windows}, {"INFO", "WARNING"})
        self.assertTrue(all((line["level"] == "WARNING") == (line["qbo_read"] == 0) for line in windows))
        self.assertTrue(all(line.get("pipeline_run_id") for line in windows), "the log does not say which run")

        # The token rotates; the secret in Mage stays, and the next pipeline works with it.
        self.company.ask("expire")
        self.fire(server, "qb_customers_backfill", completes=True)
        self.assertEqual(self.company.number("SELECT count(*) FROM raw.qb_customers"), 20)
        self.assertNotEqual(self.company.ask("refresh_token"), self.company.secrets["QBO_REFRESH_TOKEN"])

        self.company.ask("revoke")
        self.fire(server, "qb_items_backfill", completes=False)
        self.assertTrue(any("exit code 4" in json.dumps(line) for line in server.logged()), "the log does not say why")

        secrets = {**self.company.secrets, "newest": self.company.ask("refresh_token"), "payload": "SyncToken"}
        for path in server.files():
            content = path.read_bytes()
            for name, value in secrets.items():
                self.assertNotIn(value.encode(), content, f"{name} is in {path}")

    def fire(self, server, pipeline, completes):
        """Switches the shipped trigger on, and waits for its only run."""
        path = f"pipelines/{pipeline}/pipeline_schedules"
        schedules = until(lambda: server.call("GET", path)["pipeline_schedules"], "the triggers are read")
        self.assertEqual([one["status"] for one in schedules], ["inactive"])
        variables = self.company.variables()
        trigger = {
            "id": schedules[0]["id"],
            "status": "active",
            "variables": {name: variables[name] for name in ("fecha_inicio", "fecha_fin", "qbo_api_url", "qbo_oauth_url")},
        }
        began = time.monotonic()
        server.call("PUT", f"pipeline_schedules/{trigger['id']}", {"pipeline_schedule": trigger})

        def ended():
            runs = server.call("GET", f"pipeline_runs?pipeline_uuid={pipeline}")["pipeline_runs"]
            return next((run for run in runs if run["status"] in ("completed", "failed", "cancelled")), None)

        run = until(ended, f"{pipeline} ends")
        print(f"{pipeline}: {run['status']} {time.monotonic() - began:.1f} s after its trigger was armed", file=sys.stderr)
        self.assertEqual(run["status"], "completed" if completes else "failed")
        return run


def until(answer, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = answer()
        if found:
            return found
        time.sleep(1)
    raise AssertionError(f"{PATIENCE} s went by before {what}")


def installed():
    """Where the programs of a virtual environment with Mage are."""
    folder = pathlib.Path(os.environ.get("MAGE_VENV") or pathlib.Path(os.environ["HOME"]) / "venv")
    programs = folder / "bin"
    if not (programs / "mage").exists():
        began = time.monotonic()
        venv.create(folder, with_pip=True)
        subprocess.run([programs / "pip", "install", "--quiet", MAGE], check=True, stdout=sys.stderr)
        print(f"{MAGE} installed in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return programs


if __name__ == "__main__":
    unittest.main()
