"""Starts docker-compose.yml for real, as docs/containers.md tells it, and breaks it in the middle of runs.

    python3 containers/test [--log FILE] [--keep] [--no-build] [--program FILE]

Wants root, an engine, Compose 2.24 or newer, the images that the files name, and the image qbo-backfill-emulator:test;
containers/check brings all of them. The log has names and states only.
"""

import argparse
import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import confinement
import consent
import console
import mage
import pgadmin
from engine import LINES, Failed, Project, expect, run, say, until

SERVICES = ("postgres", "pgadmin", "console")
USERS = {"postgres": 999, "pgadmin": 5050, "console": 10001}
# The tag that the documents give it.
DEMO = "qbo-backfill:0.1.0-demo"
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


def bring(tree, program):
    """Has the images take a static program instead of compiling it: what compiles becomes an archive that unpacks itself."""
    script = '#!/bin/sh\nset -eu\ntail -n +5 "$0" >/usr/local/bin/qbo-backfill\nchmod 755 /usr/local/bin/qbo-backfill; exit\n'
    with open(program, "rb") as file, open(os.path.join(tree, "containers/build-static"), "wb") as archive:
        archive.write(script.encode() + file.read())


def add_trigger(project, name, entity, first, last):
    project.command("trigger", "add", entity, "--now", "--from", first, "--to", last, "--name", name)


def status(project, name):
    return project.sql(f"SELECT status FROM raw.backfill_trigger WHERE trigger_name = '{name}'")


def pages(project, name):
    answer = project.sql(
        "SELECT coalesce(sum(pages_read), 0) FROM raw.backfill_run_pipeline JOIN raw.backfill_trigger USING (run_id)"
        f" WHERE trigger_name = '{name}'"
    )
    return int(answer or 0)


def health(project):
    """The console's health, asked as docs/containers.md tells it."""
    return project.inside("console", "qbo-backfill", "health", code=None)


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
    said = health(project).stdout
    expect(said.startswith("default: waiting: "), "the worker in the console says what it waits for", said)
    expect(project.sql("SELECT count(*) > 10 FROM raw.schema_version") == "t", "the numbered scripts have run")
    expect(project.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'qbo\\_%'") == "0",
           "roles.sql has not run by itself")
    say("the console, through the port of this machine")
    console.door(project)
    console.new_key(project)
    say("confinement")
    confinement.check(project, USERS)
    confinement.console_is_bare(project)
    confinement.networks(project, SERVICES)
    confinement.environment_is_clean(project, SERVICES)


def first_trigger(project):
    say("vault, consent and a trigger")
    project.files.append("containers/test/compose.emulator.yml")
    project.compose("up", "--detach", "--wait", "--no-build", "--remove-orphans")
    given = consent.company(project)
    console.connect(project, given, lambda page, callback: consent.visit(project, page, callback))
    consent.by_terminal(project, given)
    until("the worker in the console works", lambda: "ok" in health(project).stdout)
    say("  console: default: ok")
    add_trigger(project, "first", "Customer", QUARTERS[0], QUARTERS[4])
    done(project, "first")
    console.arm(project, "by_page", "Item", QUARTERS[0], QUARTERS[2])
    done(project, "by_page")
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
    """Kills the console as the kernel would, so that its restart policy applies."""
    os.kill(project.container("console")["State"]["Pid"], signal.SIGKILL)


def outage(project):
    project.compose("stop", "postgres")
    def unwell():
        asked = health(project)
        return asked.returncode == 6 or "waiting: " in asked.stdout
    until("the console says that its database is gone", unwell)
    say("  postgres stopped: the console's health says so")
    project.compose("start", "postgres")


BREAKS = {
    "restart of the console": lambda project: project.compose("restart", "console"),
    "kill of the console": kill,
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
        project.well("postgres", "console")
    restarts = project.container("console")["RestartCount"]
    expect(restarts >= 1, "the killed console was started again by its policy", restarts)
    rows = project.sql("SELECT count(*), count(DISTINCT id) FROM raw.qb_invoices")
    expect(rows == "6000|6000", "6000 invoices are stored, each once", rows)
    console.says(project, ["6,000"])
    say("pgadmin restarted")
    project.compose("restart", "pgadmin")
    project.well("pgadmin")
    project.command("verify", "Customer", timeout=1200)
    say("  verify: every customer as the company has it")


def in_mage(project, is_built):
    """The profile `mage`: a pipeline's trigger brings what is not there yet, with the console's consent."""
    say("profile mage")
    with open(os.path.join(project.tree, "secrets/postgres"), encoding="utf-8") as file:
        project.command("secrets", "set", "PG_PASSWORD", stdin=file.read())
    project.profiles = ["mage"]
    if is_built:
        project.compose("up", "--detach", "--wait", "--no-build")
    else:
        project.dev("up", "mage", timeout=7200)
    project.well("mage")
    confinement.check(project, {"mage": 10001})
    page = mage.sign_in(project)
    say("  a wrong password is refused; the owner's, in the file, signs in")
    rows = lambda: int(project.sql("SELECT count(*) FROM raw.qb_items"))
    before = rows()
    expect(0 < before < 20, "a part of the items is there", before)
    ended = page.fire("qb_items_backfill", QUARTERS[0], QUARTERS[4])
    expect(ended == ["completed"], "the run of the pipeline qb_items_backfill is completed in Mage", ended)
    expect(rows() == 20, "it has brought the other items", rows())
    told = mage.windows(project)
    half = (datetime.date.fromisoformat(QUARTERS[4]) - datetime.date.fromisoformat(QUARTERS[2])).days
    expect(told == {"completed": half}, "Mage's log has each day that was missing, completed, and no other", told)
    last = project.sql("SELECT status FROM raw.backfill_run ORDER BY started_at_utc DESC LIMIT 1")
    expect(last == "completed", "the log in the database has the run, completed", last)
    confinement.environment_is_clean(project, ["mage"])


def kept_and_wiped(project):
    say("down and up again")
    before = project.volumes()
    project.compose("down", "--remove-orphans")
    expect(project.volumes() == before and len(before) == 6, "down keeps the volumes", before)
    project.compose("up", "--detach", "--wait", "--no-build")
    project.well(*SERVICES, "mage")
    ended = mage.sign_in(project).ended("qb_items_backfill")
    expect(ended == ["completed"], "Mage remembers its run, and has not started it again", ended)
    rows = project.sql("SELECT count(*) FROM raw.qb_invoices")
    expect(rows == "6000", "the rows are still there", rows)
    kept = project.command("secrets", "list").stdout
    expect("QBO_CLIENT_ID" in kept, "the vault is still there")
    say("down with volumes")
    project.compose("down", "--volumes", "--remove-orphans")
    expect(project.volumes() == [], "down --volumes wipes them", project.volumes())


def demo(project):
    """The image of the demo, which needs neither the Compose file nor an account."""
    say("demo")
    run(["docker", "build", "--quiet", "--target", "demo", "--tag", DEMO, project.tree], timeout=7200)
    said = run(["docker", "run", "--rm", DEMO]).stdout
    expect("inserted 0, updated 0, unchanged 5541" in said, "the demo comes to its end, and reads nothing new twice", said[-1000:])
    hint = said.strip().splitlines()[-1].strip()
    expect(hint.startswith("docker run "), "its last line is a command that brings the report out of the container", hint)
    with tempfile.TemporaryDirectory() as folder:
        run(["sh", "-c", f"cd '{folder}' && {hint}"])
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as file:
            page = file.read()
    expect(page.startswith("<!doctype html>") and page.rstrip().endswith("</html>") and "qb_invoices_backfill" in page,
           "that command, pasted, writes the page and nothing else into a file", page[:200])


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--log")
    words.add_argument("--keep", action="store_true", help="leave containers and the copy where they are")
    words.add_argument("--no-build", action="store_true", help="take the image of the console that is there")
    words.add_argument("--program", help="a static program for the images, which compile none then")
    words = words.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    project = Project(copy(), "qbo-backfill-test")
    if words.program:
        bring(project.tree, words.program)
        say("the images take a program that was compiled outside of them")
    say("engine " + run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()
        + ", Compose " + run(["docker", "compose", "version", "--short"]).stdout.strip())
    try:
        for image in ("postgres", "dpage/pgadmin4", "mageai/mageai", "rust"):
            told = run(["docker", "images", "--filter", f"reference={image}:*", "--filter", "label=qbo-backfill.stand-in",
                        "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
            for name in told:
                label = run(["docker", "inspect", "--format", '{{index .Config.Labels "qbo-backfill.stand-in"}}', name]).stdout
                say(f"stand-in {name}: {label.strip()}")
        as_it_comes(project, words.no_build)
        first_trigger(project)
        broken(project)
        in_mage(project, words.no_build)
        kept_and_wiped(project)
        if not words.no_build:
            demo(project)
        say("all held")
    except Failed as failed:
        print(f"failed: {failed}", file=sys.stderr)
        print(project.compose("logs", "--tail", "40", code=None).stdout, file=sys.stderr)
        return 1
    finally:
        if not words.keep:
            project.profiles = ["mage"]
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
