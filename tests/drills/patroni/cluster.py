"""Three PostgreSQL nodes under Patroni, with etcd and haproxy, on loopback and in one folder: all processes work in it."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

PATRONI = ["patroni[etcd3]==4.1.5", "psycopg[binary]==3.3.9"]
NEEDS = "apt-get install etcd-server haproxy postgresql python3-venv"

# PostgreSQL refuses to run as root.
SERVER_USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


def postgres_programs():
    """The newest PostgreSQL's programs; Debian keeps them out of PATH."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    return newest and newest.parent


def missing():
    """What the drill needs and this machine lacks."""
    programs = [name for name in ("etcd", "haproxy") if not shutil.which(name)]
    programs += [] if postgres_programs() else ["initdb"]
    venv = subprocess.run(["/usr/bin/python3", "-c", "import ensurepip, venv"], capture_output=True)
    return programs + (["python3 -m venv"] if venv.returncode else [])


def wait_for(what, seconds, condition):
    """Asks until the answer is true, and returns it."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.2)
    return answer


def free_ports(count):
    """Ports outside the range that outgoing connections take: a node must get its own back after a minute."""
    for first in range(20000, 30000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
            return list(range(first, first + count))
        except OSError:
            continue
    raise OSError("no free ports")


def start(folder, name, command, within=None, **options):
    """Starts a program that works in the folder (or one in it) and writes a log there. Ctrl-C reaches only the drill."""
    with open(folder / f"{name}.log", "ab") as log:
        options |= {"cwd": within or folder, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        return subprocess.Popen([str(part) for part in command], start_new_session=True, **options)


def processes(folder):
    """The ids of those that work in the folder; one with a terminal is a person's who looks around there."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            terminal = (path / "stat").read_text().rpartition(")")[2].split()[4]
            if terminal == "0" and (path / "cwd").readlink().is_relative_to(folder):
                yield int(path.name)
        except OSError:
            pass  # it has ended, or belongs to another user


def signal_all(folder, number, only=b""):
    """Signals the processes of a folder whose command line has `only` in it, also those that start meanwhile."""
    reached = set()
    while new := set(processes(folder)) - reached:
        for pid in new:
            try:
                if only in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, number)
            except OSError:
                pass  # it has ended
        reached |= new


class Node:
    """One machine: Patroni, and the PostgreSQL that it looks after. All of its processes run in the node's folder."""

    def __init__(self, cluster, name, port, rest_port):
        self.cluster, self.name, self.port, self.rest_port = cluster, name, port, rest_port
        self.folder = cluster.folder / name
        self.folder.mkdir()
        config = {
            "scope": "simo",
            "name": name,
            "restapi": {"listen": f"127.0.0.1:{rest_port}", "connect_address": f"127.0.0.1:{rest_port}"},
            "etcd3": {"host": f"127.0.0.1:{cluster.etcd_port}"},
            "bootstrap": {
                "dcs": {"synchronous_mode": True, "postgresql": {"use_pg_rewind": True}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{port}",
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(cluster.programs),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    role: {"username": role, "password": cluster.password} for role in ("superuser", "replication", "rewind")
                },
                "pg_hba": [f"host {of} all 127.0.0.1/32 scram-sha-256" for of in ("all", "replication")],
                "parameters": {"unix_socket_directories": "", "shared_buffers": "32MB"},
                # A node that can no longer follow is rebuilt, as an administrator would do.
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }
        (self.folder / "patroni.json").write_text(json.dumps(config, indent=1))
        if SERVER_USER:
            for path in (self.folder, self.folder / "patroni.json"):
                shutil.chown(path, "postgres", "postgres")
        (self.folder / "patroni.json").chmod(0o600)

    def start(self):
        command = [self.cluster.venv / "bin/patroni", "patroni.json"]
        self.patroni = start(self.cluster.folder, self.name, command, within=self.folder, **SERVER_USER)

    def kill(self):
        signal_all(self.folder, signal.SIGKILL)
        self.patroni.wait()

    def kill_postmaster(self):
        os.kill(int((self.folder / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)


class Cluster:
    """The whole: its address through haproxy is `port`."""

    def __init__(self, folder):
        self.folder, self.venv, self.programs = folder, folder / "venv", postgres_programs()
        self.password = secrets.token_hex(8)
        self.port, self.careless_port, self.simod_port, self.etcd_port, etcd_peer, *ports = free_ports(11)
        folder.chmod(0o755)
        subprocess.run(["/usr/bin/python3", "-m", "venv", self.venv], check=True, cwd=folder)
        with open(folder / "pip.log", "w") as log:
            subprocess.run([self.venv / "bin/pip", "install", *PATRONI], check=True, stdout=log, stderr=log, cwd=folder)
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, etcd_peer))
        etcd = ["etcd", "--data-dir", "etcd", "--name", "etcd", "--initial-cluster", f"etcd={peer}"]
        etcd += ["--listen-client-urls", client, "--advertise-client-urls", client]
        etcd += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        start(folder, "etcd", etcd)
        self.nodes = [Node(self, name, *ports[2 * i : 2 * i + 2]) for i, name in enumerate("abc")]
        (folder / "haproxy.cfg").write_text(self.haproxy_config())
        start(folder, "haproxy", ["haproxy", "-db", "-f", "haproxy.cfg"])

    def haproxy_config(self):
        """Two ways to the primary: one that cuts connections to a former primary, and one that leaves them."""
        config = "defaults\n    mode tcp\n    timeout connect 2s\n    timeout check 2s\n"
        config += "    timeout client 30m\n    timeout server 30m\n"
        for name, port, cut in (("primary", self.port, "on-marked-down shutdown-sessions"), ("careless", self.careless_port, "")):
            config += f"listen {name}\n    bind 127.0.0.1:{port}\n    option httpchk OPTIONS /primary\n"
            config += f"    http-check expect status 200\n    default-server inter 1s fall 3 rise 2 {cut}\n"
            for node in self.nodes:
                config += f"    server {node.name} 127.0.0.1:{node.port} check port {node.rest_port}\n"
        return config

    def bootstrap(self):
        """Starts the nodes and makes two databases with a role each: simod's, and one for the prober."""
        for node in self.nodes:
            node.start()
        self.wait_until_well(is_synchronous=True)
        for name, connections in (("simo", 50), ("prober", 20)):
            # A server keeps the connection of a commit that waits for a standby even after its client is gone. Whether such
            # connections add up until Patroni finds none free was not observed; the limits rule it out.
            self.must(f"create role {name} login password '{self.password}' connection limit {connections}")
            self.must(f"create database {name} owner {name}")
        self.must("create table probe (at timestamptz default clock_timestamp())", "prober")

    def psql(self, statement, database="postgres", seconds=30):
        """Whether a statement succeeded through haproxy without a warning, and what it printed."""
        role = "superuser" if database == "postgres" else database
        address = f"host=127.0.0.1 port={self.port} user={role} dbname={database} connect_timeout=5"
        command = [self.programs / "psql", "-XAtq", "-d", address, "-c", statement]
        environment = {**os.environ, "PGPASSWORD": self.password}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, cwd=self.folder)
        except subprocess.TimeoutExpired:
            return False, f"no answer within {seconds} s"
        # A commit that was not replicated succeeds with a warning.
        return done.returncode == 0 and not done.stderr, done.stdout if done.returncode == 0 else done.stderr

    def must(self, statement, database="postgres", seconds=120):
        succeeded, answer = self.psql(statement, database, seconds)
        if not succeeded:
            raise RuntimeError(f"{statement}: {answer}")
        return answer

    def url(self, form):
        """simod's URL."""
        hosts = {"haproxy": f"127.0.0.1:{self.port}", "careless": f"127.0.0.1:{self.careless_port}"}
        hosts["hosts"] = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        after = "?target_session_attrs=read-write" if form == "hosts" else ""
        return f"postgres://simo:{self.password}@{hosts[form]}/simo{after}"

    def members(self):
        """Name to role and state, as the first node that answers says."""
        for node in self.nodes:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{node.rest_port}/cluster", timeout=2) as answer:
                    return {m["name"]: (m["role"], m["state"]) for m in json.load(answer)["members"]}
            except (OSError, ValueError):
                continue
        return {}

    def primary(self):
        roles = self.members()
        return next((node for node in self.nodes if roles.get(node.name, [""])[0] == "leader"), None)

    def configure(self, settings):
        """Sets what Patroni keeps for the whole cluster, and waits until all nodes are well under it."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.primary().rest_port}/config", json.dumps(settings).encode(), method="PATCH"
        )
        urllib.request.urlopen(request, timeout=10).close()
        self.wait_until_well(settings["synchronous_mode"])

    def wait_until_well(self, is_synchronous):
        wanted = ["leader", "replica", "sync_standby" if is_synchronous else "replica"]

        def is_well():
            members = self.members().values()
            states = {state for role, state in members if role != "leader"}
            return sorted(role for role, _ in members) == wanted and states == {"streaming"} and self.psql("select 1")[0]

        wait_for(f"{wanted}, streaming, and an answer through haproxy", 180, is_well)

    def patronictl(self, *arguments):
        command = [self.venv / "bin/patronictl", "-c", self.nodes[0].folder / "patroni.json", *arguments, "--force"]
        with open(self.folder / "patronictl.log", "ab") as log:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=120, cwd=self.folder)
