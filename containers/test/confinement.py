"""What a container may do, asked of the kernel and from inside."""

import json

from engine import expect, run

# CAP_NET_BIND_SERVICE, which the compose file gives to pgAdmin alone.
NET_BIND_SERVICE = 1 << 10

# Asks for a page, with another Host if one is given: the code of a refusal, or where the answer leads.
GET = """
import sys, urllib.error, urllib.parse, urllib.request
asked = urllib.request.Request(sys.argv[1])
for host in sys.argv[2:]: asked.add_header("Host", host)
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay())
try: opener.open(asked, timeout=10)
except urllib.error.HTTPError as error: print(urllib.parse.urlsplit(error.headers["location"] or "").path or error.code)
else: print("open")
"""


def status(project, service):
    """The kernel's own account of a container's first process."""
    process = project.container(service)["State"]["Pid"]
    with open(f"/proc/{process}/status", encoding="utf-8") as file:
        pairs = (line.split(":", 1) for line in file)
        return process, {key: value.split() for key, value in pairs}


def check(project, users):
    """Users, capabilities, privileges and roots of all services."""
    for service, user in users.items():
        process, fields = status(project, service)
        expect(fields["Uid"][0] == str(user), f"{service} runs as user {user}", fields["Uid"])
        expect(fields["NoNewPrivs"] == ["1"], f"{service} cannot gain rights", fields["NoNewPrivs"])
        most = NET_BIND_SERVICE if service == "pgadmin" else 0
        for kind in ("CapEff", "CapPrm", "CapBnd"):
            held = int(fields[kind][0], 16)
            expect(held & ~most == 0, f"{service} has no capability in {kind} but those of the file", hex(held))
        with open(f"/proc/{process}/mountinfo", encoding="utf-8") as file:
            roots = [line.split() for line in file if line.split()[4] == "/"]
        read_only = "ro" in roots[-1][5].split(",")
        expect(read_only or service != "console", f"{service} has the root that the file states", roots[-1][5])


def console_is_bare(project):
    """The console's image has one program, which writes nowhere but into volumes."""
    refused = project.inside(
        "console", "/usr/local/bin/qbo-backfill", "secrets", "init", "--vault", "/v", "--vault-key-file", "/k", code=None
    )
    expect(refused.returncode not in (0, 127) and "ead-only" in refused.stderr,
           "the console cannot write to its root", refused.stderr)
    nobody = project.inside("console", "/bin/sh", "-c", "true", code=None)
    expect(nobody.returncode != 0, "the console's image has no shell")


def networks(project, services):
    """One network for all, ports on this machine's loopback address alone."""
    for service in services:
        container = project.container(service)
        joined = list(container["NetworkSettings"]["Networks"])
        expect(joined == [f"{project.name}_books"], f"{service} is in the one network", joined)
        for port, bindings in (container["NetworkSettings"]["Ports"] or {}).items():
            addresses = {binding["HostIp"] for binding in bindings or []}
            expect(addresses <= {"127.0.0.1"}, f"{service} opens port {port} to this machine at most", addresses)
    dial = (
        "import socket, sys\n"
        "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)\n"
        "except OSError as error: print(type(error).__name__)\n"
        "else: print('open')\n"
    )
    reach = lambda host, port: project.inside("pgadmin", "python3", "-c", dial, host, str(port)).stdout.strip()
    expect(reach("postgres", 5432) == "open", "pgadmin reaches postgres by its name")
    found = project.inside("pgadmin", "python3", "-c", GET, "http://console:9464/healthz").stdout.strip()
    expect(found == "421", "the console does not answer another container by its name", found)
    found = project.inside("pgadmin", "python3", "-c", GET, "http://console:9464/c/default/", "127.0.0.1:9464").stdout.strip()
    expect(found == "/enter", "and asks it to sign in if it uses a name of this machine", found)
    image = project.container("postgres")["Config"]["Image"]
    apart = run(["docker", "run", "--rm", "--network", "bridge", "--entrypoint", "getent", image, "hosts", "postgres"], code=None)
    expect(apart.returncode != 0, "a container of another network does not find postgres", apart.stdout)
    for where in (["-h", "127.0.0.1"], []):
        refused = project.inside("postgres", "psql", "-X", "-w", "-U", "qbo", "-d", "qbo", *where, "-c", "SELECT 1", code=None)
        expect(refused.returncode != 0, f"postgres lets nobody in without a password ({'TCP' if where else 'socket'})")


def environment_is_clean(project, services):
    """No password and no key in what `docker inspect` shows."""
    secrets = []
    for name in ("postgres", "pgadmin", "qbo-console-key", "mage", "mage-sessions"):
        with open(f"{project.tree}/secrets/{name}", encoding="utf-8") as file:
            secrets.append(file.read().strip())
    for service in services:
        shown = json.dumps(project.container(service))
        expect(not any(secret in shown for secret in secrets), f"{service} shows no password to docker inspect")
        said = project.compose("logs", service)
        expect(not any(secret in said.stdout + said.stderr for secret in secrets), f"{service} logs no password")
        expect("enter?link=" not in said.stdout + said.stderr, f"{service} logs no link to sign in")
