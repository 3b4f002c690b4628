"""Starts docker-compose.yml for real, as docs/containers.md tells it, and breaks it in the middle of runs.

    python3 containers/test [--log FILE] [--keep] [--no-build]

Wants root, an engine, Compose 2.24 or newer, the images that the files name, and the image qbo-backfill-emulator:test;
containers/check brings all of them. The log has names and states only.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import confinement
import consent
import pgadmin
from engine import LINES, Failed, Project, expect, run, say, until

SERVICES = ("postgres", "pgadmin", "worker")
USERS = {"postgres": 999, "pgadmin": 5050, "worker": 10001}
QUARTERS = ["2025-01-01", "2025-04-01", "2025-07-01", "2025-10-01", "2026-01-01"]


def copy():
    """The repository's files, as they would be committed, in a folder of their own."""
    folder = tempfile.mkdtemp(prefix="qbo-backfill-compose-")
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(name):
            os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
            shutil.copy2(name, os.path.join(folder, name), follow_symlinks=False)
    return folder


def add_trigger(project, name, entity, first, last):
    project.worker("trigger", "add", entity, "--now", "--from", first, "--to", last, "--name", name)


def status(project, name):
    return project.sql(f"SELECT status FROM raw.backfill_trigger WHERE trigger_name = '{name}'")


def pages(project, name):
    answer = project.sql(
        "SELECT coalesce(sum(pages_read), 0) FROM raw.backfill_run_pipeline JOIN raw.backfill_trigger USING (run_id)"
        f" WHERE trigger_name = '{name}'"
    )
    return int(answer or 0)


def done(project, name):
    until(f"trigger {name} is done", lambda: status(project, name) in ("done", "failed"))
    expect(status(project, name) == "done", f"trigger {name} is done", status(project, name))


def as_it_comes(project, is_built):
    """The plain file, before there is a vault."""
    say("secrets and start, without a vault")
    project.dev("secrets")
    mode = os.stat(os.path.join(project.tree, "secrets")).st_mode & 0o777
    expect(mode == 0o700, "./dev secrets keeps others out of the folder", oct(mode))
    if is_built:
        project.compose("up", "--detach", "--wait", "--no-build")
        say("  the images were there already, and not built here")
    else:
        project.dev("up", timeout=7200)
    project.well(*SERVICES)
    said = project.inside("worker", "/usr/local/bin/qbo-backfill", "health").stdout
    expect(said.startswith("default: waiting: "), "the worker says what it waits for", said)
    expect(project.sql("SELECT count(*) > 10 FROM raw.schema_version") == "t", "the numbered scripts have run")
    expect(project.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'qbo\\_%'") == "0",
           "roles.sql has not run by itself")
    say("confinement")
    confinement.check(project, USERS)
    confinement.networks(project, SERVICES)
    confinement.environment_is_clean(project, SERVICES)


def first_trigger(project):
    say("vault, consent and a trigger")
    project.files.append("containers/test/compose.emulator.yml")
    project.compose("up", "--detach", "--wait", "--no-build", "--remove-orphans")
    consent.vault(project)
    until("the worker works", lambda: "ok" in project.inside("worker", "/usr/local/bin/qbo-backfill", "health", code=None).stdout)
    say("  worker: default: ok")
    add_trigger(project, "first", "Customer", QUARTERS[0], QUARTERS[4])
    done(project, "first")
    rows = project.sql("SELECT count(*) FROM raw.qb_customers")
    expect(rows == "40", "psql sees 40 customers", rows)
    with open(os.path.join(project.tree, "secrets/pgadmin"), encoding="utf-8") as file:
        page = pgadmin.Page("http://127.0.0.1:5050", "admin@example.com", file.read().strip())
    servers = page.servers()
    expect([name for _, _, name in servers] == ["qbo"], "pgAdmin lists the server", servers)
    group, server, _ = servers[0]
    with open(os.path.join(project.tree, "secrets/postgres"), encoding="utf-8") as file:
        databases = page.connect(group, server, file.read().strip())
    expect("qbo" in databases, "pgAdmin connects with the password in the file", databases)
    rows = page.query(group, server, databases["qbo"], "qbo", "SELECT count(*) FROM raw.qb_customers")
    expect(rows == [["40"]], "pgAdmin's query tool sees 40 customers", rows)


def kill(project):
    """Kills the worker as the kernel would, so that its restart policy applies."""
    os.kill(project.container("worker")["State"]["Pid"], signal.SIGKILL)


def outage(project):
    project.compose("stop", "postgres")
    def unwell():
        asked = project.inside("worker", "/usr/local/bin/qbo-backfill", "health", code=None)
        return asked.returncode == 6 or "waiting: " in asked.stdout
    until("the worker says that its database is gone", unwell)
    say("  postgres stopped: the worker's health says so")
    project.compose("start", "postgres")


BREAKS = {
    "restart of the worker": lambda project: project.compose("restart", "worker"),
    "kill of the worker": kill,
    "restart of postgres": lambda project: project.compose("restart", "postgres"),
    "postgres stopped and started": outage,
}


def broken(project):
    for number, (name, break_it) in enumerate(BREAKS.items()):
        say(f"in the middle of a run: {name}")
        trigger = f"broken{number}"
        add_trigger(project, trigger, "Invoice", QUARTERS[number], QUARTERS[number + 1])
        until(f"{trigger} has stored a page", lambda: pages(project, trigger) > 0)
        expect(status(project, trigger) == "running", "the run is in its middle", status(project, trigger))
        break_it(project)
        done(project, trigger)
        project.well("postgres", "worker")
    restarts = project.container("worker")["RestartCount"]
    expect(restarts >= 1, "the killed worker was started again by its policy", restarts)
    rows = project.sql("SELECT count(*), count(DISTINCT id) FROM raw.qb_invoices")
    expect(rows == "6000|6000", "6000 invoices are stored, each once", rows)
    say("pgadmin restarted")
    project.compose("restart", "pgadmin")
    project.well("pgadmin")
    project.worker("verify", "Customer", timeout=1200)
    say("  verify: every customer as the company has it")


def kept_and_wiped(project):
    say("down and up again")
    before = project.volumes()
    project.compose("down", "--remove-orphans")
    expect(project.volumes() == before and len(before) == 5, "down keeps the volumes", before)
    project.compose("up", "--detach", "--wait", "--no-build")
    project.well(*SERVICES)
    rows = project.sql("SELECT count(*) FROM raw.qb_invoices")
    expect(rows == "6000", "the rows are still there", rows)
    kept = project.worker("secrets", "list").stdout
    expect("QBO_CLIENT_ID" in kept, "the vault is still there")
    say("down with volumes")
    project.compose("down", "--volumes", "--remove-orphans")
    expect(project.volumes() == [], "down --volumes wipes them", project.volumes())


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--log")
    words.add_argument("--keep", action="store_true", help="leave containers and the copy where they are")
    words.add_argument("--no-build", action="store_true", help="take the image of the worker that is there")
    words = words.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    project = Project(copy(), "qbo-backfill-test")
    say("engine " + run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()
        + ", Compose " + run(["docker", "compose", "version", "--short"]).stdout.strip())
    try:
        for image in ("postgres", "dpage/pgadmin4", "rust"):
            told = run(["docker", "images", "--filter", f"reference={image}:*", "--filter", "label=qbo-backfill.stand-in",
                        "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
            for name in told:
                label = run(["docker", "inspect", "--format", '{{index .Config.Labels "qbo-backfill.stand-in"}}', name]).stdout
                say(f"stand-in {name}: {label.strip()}")
        as_it_comes(project, words.no_build)
        first_trigger(project)
        broken(project)
        kept_and_wiped(project)
        say("all held")
    except Failed as failed:
        print(f"failed: {failed}", file=sys.stderr)
        print(project.compose("logs", "--tail", "40", code=None).stdout, file=sys.stderr)
        return 1
    finally:
        if not words.keep:
            project.compose("down", "--volumes", "--remove-orphans", code=None)
            shutil.rmtree(project.tree, ignore_errors=True)
    if words.log:
        with open(words.log, "w", encoding="utf-8") as file:
            file.write("\n".join(LINES) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as late:
        sys.exit(f"failed: {late}")
