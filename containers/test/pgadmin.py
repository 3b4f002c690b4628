"""A person at pgAdmin's page: the requests that its own scripts send."""

import http.cookiejar
import json
import random
import re
import time
import urllib.parse
import urllib.request

from engine import Failed


class Page:
    """A browser that has signed in."""

    def __init__(self, address, user, password):
        self.address = address
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        self.token = None
        login = self.text("/login?next=/")
        found = re.search(r'csrfToken"?: *"([^"]+)"', login) or re.search(r'name="csrf_token"[^>]*value="([^"]+)"', login)
        if not found:
            raise Failed("pgAdmin's page for signing in has no token")
        form = {"csrf_token": found[1], "email": user, "password": password, "internal_button": "Login"}
        self.text("/authenticate/login", urllib.parse.urlencode(form).encode())
        script = self.text("/browser/js/utils.js")
        found = re.search(r"pgAdmin\['csrf_token'\] *= *'([^']+)'", script)
        if not found:
            raise Failed("pgAdmin did not let us in")
        self.token = found[1]

    def text(self, path, data=None, method=None, kind=None):
        request = urllib.request.Request(self.address + path, data=data, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        if self.token:
            request.add_header("X-pgA-CSRFToken", self.token)
        request.add_header("Referer", self.address + "/")
        try:
            with self.opener.open(request, timeout=300) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failed(f"pgAdmin answers {error.code} to {path}: {error.read().decode()[:500]}") from None

    def json(self, path, value=None, method=None):
        data = None if value is None else json.dumps(value).encode()
        return json.loads(self.text(path, data, method, "application/json"))

    def nodes(self, path):
        """The children of a node of the tree; servers and databases call the list by different names."""
        answer = self.json(path)
        return answer.get("data") or answer.get("result") or []

    def servers(self):
        """Group, id and name of every server that is listed."""
        found = []
        for group in self.nodes("/browser/server_group/nodes/"):
            for server in self.nodes(f"/browser/server/nodes/{group['_id']}/"):
                found.append((group["_id"], server["_id"], server["label"]))
        return found

    def connect(self, group, server, password):
        form = urllib.parse.urlencode({"password": password}).encode()
        self.text(f"/browser/server/connect/{group}/{server}", form)
        databases = self.nodes(f"/browser/database/nodes/{group}/{server}/")
        return {database["label"]: database["_id"] for database in databases}

    def query(self, group, server, database, user, sql):
        """The rows of a query, through the query tool."""
        tool = random.randrange(1, 9999999)
        self.json(f"/sqleditor/initialize/sqleditor/{tool}/{group}/{server}/{database}",
                  {"user": user, "role": None, "dbname": None})
        self.json(f"/sqleditor/query_tool/start/{tool}", {"sql": sql, "explain_plan": None})
        while True:
            answer = self.json(f"/sqleditor/poll/{tool}")["data"]
            if answer["status"] == "Success":
                return answer["result"]
            if answer["status"] not in ("Busy", "NotInitialised"):
                raise Failed(f"pgAdmin's query ended as {answer['status']}")
            time.sleep(0.5)
