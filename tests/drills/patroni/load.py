"""simod under load, and two probers beside it: one posts to simod, one commits with psql through haproxy."""

import concurrent.futures
import http.client
import itertools
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from cluster import start, wait_for

POSTERS = 16
PROBE_EVERY = 0.1
PROBES_WAITING = 100


class Simod:
    """The daemon, with one client, one employee, one topic and a token."""

    def __init__(self, cluster, program, form):
        self.cluster, self.program, self.form = cluster, Path(program).resolve(), form
        self.start()
        for command in (
            "client add drill --name Drill",
            "employee add 1 Operator",
            "topic add boiler --name Boiler",
            "topic grant boiler --everyone",
        ):
            self.simoctl(*command.split())
        self.token = self.simoctl("token", "issue", "--acs", "scada").strip()

    def start(self):
        folder = self.cluster.folder
        environment = {**os.environ, "SIMO_DATABASE": self.cluster.url(self.form)}
        command = [self.program, "serve", "--listen", f"127.0.0.1:{self.cluster.simod_port}", "--socket", folder / "simod.sock"]
        self.process = start(folder, "simod", command, env=environment)
        wait_for("simod answers", 60, self.is_alive)

    def is_alive(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.simod_port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def simoctl(self, *arguments):
        program = self.program.with_name("simoctl")
        command = [program, "--socket", self.cluster.folder / "simod.sock", "--yes", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def restart(self):
        self.process.kill()
        self.process.wait()
        self.start()


class Watch:
    """Posts at a steady rate, each message under a key and again until it is answered with 2xx, and probes."""

    def __init__(self, simod, name, rate):
        self.simod, self.name, self.rate = simod, name, rate
        self.accepted = []  # (when, key) of each first 202
        self.committed = []  # (when, the server's start time) of each commit of the prober
        self.tries = []  # (when, status) of the posters' attempts; 0: no answer
        self.unanswered = 0
        self.ended = threading.Event()
        self.give_up = float("inf")
        self.threads = [threading.Thread(target=self._posts, args=(number,)) for number in range(POSTERS)]
        self.threads += [threading.Thread(target=self._probes, args=(probe,)) for probe in (self._probe_simod, self._probe_psql)]
        for thread in self.threads:
            thread.start()

    def stop(self, patience):
        """Takes no new message, and repeats those on their way for so many seconds."""
        self.give_up = time.monotonic() + patience
        self.ended.set()

    def join(self):
        for thread in self.threads:
            thread.join()

    def _posts(self, number):
        connection, due = None, time.monotonic() + number / self.rate
        for count in itertools.count():
            if self.ended.wait(max(0, due - time.monotonic())):
                break
            connection = self._post_until_accepted(connection, f"{self.name}-{number}-{count}", count % 2 == 0)
            due = max(due + POSTERS / self.rate, time.monotonic() - 1)

    def _post_until_accepted(self, connection, key, is_external_id):
        while time.monotonic() < self.give_up:
            status, connection = self._post(connection, key, is_external_id)
            self.tries.append((time.monotonic(), status))
            if 200 <= status < 300:
                return connection
            time.sleep(0.1)
        self.unanswered += 1
        return connection

    def _post(self, connection, key, is_external_id=True, seconds=30):
        """Posts once; the status, or 0 where there was no answer, and the connection to go on with."""
        if not connection:
            connection = http.client.HTTPConnection("127.0.0.1", self.simod.cluster.simod_port, timeout=seconds)
        message = {"topic": "boiler", "title": key} | ({"external_id": key} if is_external_id else {})
        headers = {"Authorization": f"Bearer {self.simod.token}", "Content-Type": "application/json"}
        headers |= {} if is_external_id else {"Idempotency-Key": key}
        try:
            connection.request("POST", "/api/v1/messages", json.dumps(message), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, None
        if 200 <= answer.status < 300:
            self.accepted.append((time.monotonic(), key))
        return answer.status, connection

    def _probes(self, probe):
        """Probes at its times, also while earlier probes wait for their answers."""
        due, waiting = time.monotonic(), set()
        with concurrent.futures.ThreadPoolExecutor(PROBES_WAITING) as pool:
            for count in itertools.count():
                if self.ended.wait(max(0, due - time.monotonic())):
                    break
                waiting = {answer for answer in waiting if not answer.done()}
                if len(waiting) < PROBES_WAITING:
                    waiting.add(pool.submit(probe, count))
                due += PROBE_EVERY

    def _probe_simod(self, count):
        connection = self._post(None, f"{self.name}-probe-{count}", seconds=10)[1]
        if connection:
            connection.close()

    def _probe_psql(self, _):
        statement = "insert into probe default values returning pg_postmaster_start_time()"
        succeeded, server = self.simod.cluster.psql(statement, "prober", seconds=10)
        if succeeded:
            self.committed.append((time.monotonic(), server))

    def server(self):
        """The start time of the server that took the newest commit."""
        return max(self.committed)[1]


def longest_gap(times, begin, end):
    """The longest time without a success between two moments, and its end."""
    inside = [begin, *sorted(time for time in times if begin < time < end), end]
    return max((after - before, after) for before, after in itertools.pairwise(inside))
