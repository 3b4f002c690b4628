"""A person at the console: the requests of a browser, through the port that this machine publishes."""

import html
import http.client
import os
import re
import urllib.parse

from engine import Failed, expect

PORT = 9464
# The address that the documents name, the console's own host name, and the one to which Intuit sends browsers.
ADDRESS = f"127.0.0.1:{PORT}"
OWN = f"qbo-backfill.localhost:{PORT}"
CALLBACK = f"http://localhost:{PORT}/callback"


class Page:
    """A browser that shows the console under one of its names."""

    def __init__(self, host=ADDRESS):
        self.host, self.cookie = host, None

    def ask(self, path, form=None, **headers):
        """Status, text and where the answer leads. Headers that are given replace the browser's own."""
        sent = {"Host": self.host, "Accept-Language": "en"}
        body = None
        if self.cookie:
            sent["Cookie"] = self.cookie
        if form is not None:
            body = urllib.parse.urlencode(form)
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{self.host}",
                     "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        try:
            connection.request("GET" if body is None else "POST", path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.getheader("set-cookie"):
            self.cookie = answer.getheader("set-cookie").split(";")[0]
        return answer.status, text, answer.getheader("location") or ""

    def today(self):
        status, text, _ = self.ask("/c/default/")
        expect(status == 200, "the page Today answers", status)
        return text

    def enter(self, key):
        """Fills the form to sign in. Returns the status, and whether a session has begun."""
        status, _, _ = self.ask("/enter", {"name": "op1", "key": key, "next": ""})
        return status, self.cookie is not None


def key(project):
    with open(f"{project.tree}/secrets/qbo-console-key", encoding="utf-8") as file:
        return file.read().strip()


def link(project, *words):
    """A link for a person, made in the container as docs/containers.md tells it."""
    made = project.inside("console", "qbo-backfill", "console", "link", "--as", "op1", *words).stdout.strip()
    return urllib.parse.urlsplit(made)


def signed_in(project):
    """A browser that has opened a link."""
    made = link(project, "--at", f"http://{ADDRESS}")
    page = Page(made.netloc)
    status, _, _ = page.ask(f"{made.path}?{made.query}")
    if status != 303 or not page.cookie:
        raise Failed(f"the link to sign in answers {status}")
    return page


def door(project):
    """Who comes in, and who does not."""
    stranger = Page()
    status, _, leads = stranger.ask("/c/default/")
    expect(status == 303 and leads.startswith("/enter"), "a page without a session leads to the page to sign in", status)
    for path in ("/", "/enter", "/healthz", "/metrics"):
        found = [stranger.ask(path, Host=host)[0] for host in ("rebound.example", f"console:{PORT}", "127.0.0.1:5050")]
        expect(found == [421, 421, 421], f"another Host is refused at {path}", found)
    for made in (link(project), link(project, "--at", f"http://{ADDRESS}")):
        page = Page(made.netloc)
        opened = [page.ask(f"{made.path}?{made.query}")[0], Page(made.netloc).ask(f"{made.path}?{made.query}")[0]]
        expect(opened == [303, 403], f"a link to {made.hostname} signs in once", opened)
        expect("not connected to QuickBooks" in page.today(), "it says that the company is not connected")
    entered = stranger.enter("0" * 48)
    expect(entered == (403, False), "a wrong key is refused", entered)
    entered = stranger.enter(key(project))
    expect(entered == (303, True), "the key in the file signs in", entered)
    stranger.today()
    # What a page of pgAdmin, which is the same site for a browser, could make it send.
    for headers in ({"Origin": "http://127.0.0.1:5050", "Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "cross-site"}):
        refused, _, _ = stranger.ask("/c/default/company/connect", {}, **headers)
        expect(refused == 403, f"a form of a {headers['Sec_Fetch_Site']} page is refused", refused)


def new_key(project):
    """A key in place of one that somebody else knows."""
    old = key(project)
    os.remove(f"{project.tree}/secrets/qbo-console-key")
    project.dev("secrets")
    project.compose("restart", "console")
    project.well("console")
    found = [Page().enter(old), Page().enter(key(project))]
    expect(found == [(403, False), (303, True)], "after ./dev secrets and a restart only the new key signs in", found)


def connect(project, given, visit):
    """Keys and consent by the page Company, before there is a vault. `visit` is what a browser does at the consent page."""
    page = signed_in(project)
    for name in ("client_id", "client_secret"):
        status, _, leads = page.ask(f"/c/default/company/secrets/QBO_{name.upper()}", {"value": given[name]})
        expect((status, leads) == (303, "/c/default/company"), f"the page Company takes QBO_{name.upper()}", status)
    status, text, _ = page.ask("/c/default/company/connect", {})
    expect(status == 200, "the page Company starts a consent", re.sub(r"<[^>]*>", " ", text)[-500:])
    found = re.search(r'href="(https?://[^"]+/connect/oauth2\?[^"]+)"', text)
    if not found:
        raise Failed("the page Company leads to no consent page")
    ended = urllib.parse.urlsplit(visit(html.unescape(found[1]), CALLBACK))
    # Another site leads here: the browser sends no session with it.
    status, _, _ = Page(ended.netloc).ask(f"{ended.path}?{ended.query}")
    expect(status == 200, "the answer comes to the console through the published port", status)
    _, text, _ = page.ask("/c/default/company")
    expect("Connected " in text, "the page Company says that it is connected")
    code = urllib.parse.parse_qs(ended.query)["code"][0]
    expect(not any(secret in text for secret in (given["client_secret"], code)), "the page Company shows no secret")


def arm(project, name, entity, first, last):
    """A run by the page New, at once."""
    page = signed_in(project)
    form = {"pipelines": entity, "from": first, "to": last, "when": "now", "name": name}
    status, _, leads = page.ask("/c/default/new", form)
    expect(status == 303 and name in leads, f"the page New arms {name}", status)


def says(project, words):
    """Whether Today has these words."""
    text = signed_in(project).today()
    for word in words:
        expect(word in text, f"the page Today says {word}", re.sub(r"<[^>]*>", " ", text)[:1500])
