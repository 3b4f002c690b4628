"""A person at Mage's page: the requests that its own scripts send."""

import json
import os
import sys
import urllib.error
import urllib.request

from engine import Failed, expect, until

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../mage/tests"))
from in_mage import API_KEY

ADDRESS = "http://127.0.0.1:6789"
OWNER = "owner@example.com"
# Where the company answers, in the network namespace that Mage's container shares with it in this test.
COMPANY = "http://127.0.0.1:8800"


class Page:
    """A browser that has signed in as the owner."""

    def __init__(self, password):
        self.token = None
        session = {"email": OWNER, "password": password}
        self.token = self.call("POST", "sessions", {"session": session})["session"]["token"]

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/json", "X-API-KEY": API_KEY}
        if self.token:
            headers["Cookie"] = f"oauth_token={self.token}"
        data = None if body is None else json.dumps({**body, "api_key": API_KEY}).encode()
        request = urllib.request.Request(f"{ADDRESS}/api/{path}", data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                answer = json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"Mage answers {error.code} to {method} {path.split('?')[0]}") from None
        if "error" in answer:
            raise Failed(f"Mage answers {method} {path.split('?')[0]}: {answer['error'].get('message')}")
        return answer

    def ended(self, pipeline):
        """How the runs of a pipeline have ended, as far as they have."""
        runs = self.call("GET", f"pipeline_runs?pipeline_uuid={pipeline}")["pipeline_runs"]
        return [run["status"] for run in runs if run["status"] in ("completed", "failed", "cancelled")]

    def fire(self, pipeline, first, last):
        """Switches the pipeline's own trigger on, with a range, and waits until its only run has ended."""
        triggers = until("Mage has read its triggers", lambda: self.call("GET", f"pipelines/{pipeline}/pipeline_schedules")["pipeline_schedules"])
        expect([one["status"] for one in triggers] == ["inactive"], "Mage has the one-time trigger, switched off", triggers)
        trigger = {
            "id": triggers[0]["id"],
            "status": "active",
            "variables": {"fecha_inicio": first, "fecha_fin": last, "qbo_api_url": COMPANY, "qbo_oauth_url": COMPANY},
        }
        self.call("PUT", f"pipeline_schedules/{trigger['id']}", {"pipeline_schedule": trigger})
        return until(f"{pipeline} ends in Mage", lambda: self.ended(pipeline), 600)


def sign_in(project):
    """The owner, with the password in the file; everybody else is refused."""
    try:
        Page("not the owner's")
    except Failed:
        pass
    else:
        raise Failed("Mage lets somebody in with a wrong password")
    with open(os.path.join(project.tree, "secrets/mage"), encoding="utf-8") as file:
        return Page(file.read().strip())


def windows(project):
    """The windows that the log of Mage's block names, by their status."""
    told = project.inside("mage", "sh", "-c", "find /home/src -name 'qbo_backfill*.log' -exec cat {} +").stdout
    found = {}
    for line in told.splitlines():
        start = line.find("{")
        fields = json.loads(line[start:]) if start >= 0 else {}
        if fields.get("qbo_ev") == "window":
            found[fields.get("qbo_status")] = found.get(fields.get("qbo_status"), 0) + 1
    return found
