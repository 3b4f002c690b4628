"""The consent, given as docs/containers.md tells it, with the emulator's company."""

import json
import re
import subprocess
import urllib.parse

from console import CALLBACK
from engine import Failed, expect, run, until

# What a browser does at the consent page, in the network namespace of the container: the address where it ends.
VISIT = """
import http.client, sys, urllib.parse
page = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(page.hostname, page.port, timeout=30)
connection.request("GET", page.path + "?" + page.query)
print(connection.getresponse().getheader("location") or "")
"""


def company(project):
    """What the emulator says that a client needs, from its log."""
    def announced():
        lines = run(["docker", "logs", project.container("emulator")["Id"]]).stdout.splitlines()
        return next((json.loads(line) for line in lines if line.startswith("{")), None)
    return until("the emulator announces its company", announced)


def visit(project, page, callback):
    """The address at which a browser ends that agrees at the consent page."""
    process = project.container("emulator")["State"]["Pid"]
    visited = subprocess.run(
        ["nsenter", f"--net=/proc/{process}/ns/net", "python3", "-c", VISIT, page], capture_output=True, text=True, check=True
    )
    ended = visited.stdout.strip()
    if not ended.startswith(callback + "?"):
        raise Failed("the consent page did not lead back")
    return ended


def by_terminal(project, given):
    """A key and the consent once more, by commands. Nothing of the values is printed."""
    project.command("secrets", "set", "QBO_CLIENT_SECRET", stdin=given["client_secret"] + "\n")
    files = [f"--file={project.tree}/{file}" for file in project.files]
    login = subprocess.Popen(
        ["docker", "compose", "--project-directory", project.tree, "--project-name", project.name, *files, "run", "--rm",
         "--no-TTY", "console", "auth", "login", "--redirect-url", CALLBACK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    page = None
    for line in login.stderr:
        found = re.search(r"https?://\S+/connect/oauth2\?\S+", line)
        page = found[0] if found else page
        if "paste it here" in line:
            break
    if not page:
        raise Failed("auth login showed no page")
    ended = visit(project, page, CALLBACK)
    login.stdin.write(ended + "\n")
    login.stdin.close()
    said, code = login.stdout.read() + login.stderr.read(), login.wait()
    expect(code == 0, "auth login stores the consent", said[-500:])
    kept = [given["client_secret"], urllib.parse.parse_qs(urllib.parse.urlsplit(ended).query)["code"][0]]
    expect(not any(secret in said for secret in kept), "auth login shows no secret")
