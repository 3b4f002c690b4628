"""Docker and Compose as commands, and what they tell of containers."""

import json
import os
import subprocess
import time


class Failed(Exception):
    """A promise that does not hold."""


def expect(holds, promise, found=""):
    """Notes a promise that holds, and ends the test at the first one that does not."""
    if not holds:
        raise Failed(f"{promise}: {found}")
    say(f"  {promise}  ok")


LINES = []


def say(line):
    """Prints a line, and keeps it for the log."""
    LINES.append(line)
    print(line, flush=True)


def run(words, code=0, stdin=None, env=None, timeout=900):
    """Runs a command; an exit code that was not expected is an error that names the command, not its input."""
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **(env or {})},
    )
    if code is not None and done.returncode != code:
        raise Failed(f"{' '.join(words[:9])} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def until(what, question, seconds=300):
    """Asks until the answer is true. Not a measurement: the limit only ends a test that would hang."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"it never came to be: {what}")
        time.sleep(0.5)


class Project:
    """The compose file in a copy of the repository, under a project name of its own."""

    def __init__(self, tree, name):
        self.tree, self.name = tree, name
        self.files = ["docker-compose.yml"]
        self.profiles = []

    @property
    def env(self):
        return {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": ":".join(self.files),
                "COMPOSE_PROFILES": ",".join(self.profiles)}

    def compose(self, *words, **options):
        return run(
            ["docker", "compose", "--project-directory", self.tree, *self._files(), *words],
            env=self.env, **options,
        )

    def _files(self):
        return [word for file in self.files for word in ("--file", os.path.join(self.tree, file))]

    def dev(self, *words, **options):
        """The front door of the repository, as the documents tell it."""
        return run([os.path.join(self.tree, "dev"), *words], env=self.env, **options)

    def container(self, service):
        """Everything that the engine says of a service's container."""
        identity = self.compose("ps", "--all", "--quiet", service).stdout.split()
        if not identity:
            raise Failed(f"{service} has no container")
        return json.loads(run(["docker", "inspect", identity[0]]).stdout)[0]

    def health(self, service):
        state = self.container(service)["State"]
        return state.get("Health", {}).get("Status", "none") if state["Running"] else "stopped"

    def well(self, *services):
        for service in services:
            until(f"{service} is healthy", lambda one=service: self.health(one) == "healthy")
            say(f"  {service}: healthy")

    def command(self, *words, **options):
        """A command of the program, in a container of its own beside the console's."""
        return self.compose("run", "--rm", "--no-TTY", "console", *words, **options)

    def inside(self, service, *words, **options):
        return self.compose("exec", "--no-TTY", service, *words, **options)

    def sql(self, query):
        """What the database answers, asked with psql and the password in the file."""
        with open(os.path.join(self.tree, "secrets/postgres"), encoding="utf-8") as file:
            password = file.read()
        done = self.inside(
            "postgres", "sh", "-c",
            'read -r PGPASSWORD; export PGPASSWORD; exec psql -X -A -t -h 127.0.0.1 -U qbo -d qbo -c "$0"', query,
            stdin=password + "\n", code=None,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def volumes(self):
        label = f"label=com.docker.compose.project={self.name}"
        return sorted(run(["docker", "volume", "ls", "--quiet", "--filter", label]).stdout.split())
