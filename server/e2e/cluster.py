"""Three real nodes in a directory of their own, for the scripts beside this file.

A script is one run of `main()`: it has so many seconds, and whatever it started and wrote is gone
when it ends, well or not. It exits with 0, or with one line that says what is wrong and the end of
what the nodes have logged.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


class Failure(Exception):
    """Something is not as it should be."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def until(what, condition, seconds=30.0):
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure(f"not within {seconds:g} s: {what}")


class Ports:
    """A block of ports that no other script has while this one lives, and that no system gives to
    whoever connects: so a port stays free for a node that is down for a while."""
    FIRST, EACH, BLOCKS = 20000, 400, 17

    def __init__(self):
        self.left = None

    def take(self):
        if self.left is None:
            self.left = iter(self.claim())
        for port in self.left:
            with socket.socket() as holder:
                try:
                    holder.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue  # Somebody else's program.
        raise Failure("all ports of this script are in use")

    def claim(self):
        for block in range(self.BLOCKS):
            path = os.path.join(tempfile.gettempdir(), f"pyralog-e2e-{os.getuid()}-{block}.lock")
            self.lock = open(path, "w", encoding="ascii")  # Open, and so ours, until the end.
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return range(self.FIRST + block * self.EACH, self.FIRST + (block + 1) * self.EACH)
            except OSError:
                self.lock.close()
        raise Failure("too many of these scripts run at once")


PORTS = Ports()


def free_ports(count):
    """Ports nobody listens on."""
    return [PORTS.take() for _ in range(count)]


def kcat(*arguments, stdin=None, seconds=60, check=True):
    """What it prints. It may neither fail nor complain of a message that was not delivered."""
    done = subprocess.run(["kcat", "-q", *map(str, arguments)], input=stdin, text=True,
                          capture_output=True, timeout=seconds, check=False)
    if check:
        expect(done.returncode == 0 and "Delivery failed" not in done.stderr,
               f"kcat {' '.join(map(str, arguments))} exits with {done.returncode}: {done.stderr}")
    return done.stdout


class Node:
    def __init__(self, number, room, ports):
        self.number = number
        self.directory = os.path.join(room, f"node{number}")
        self.log = os.path.join(room, f"node{number}.log")
        self.kafka_port, self.peer_port, self.admin_port = ports
        self.address = f"127.0.0.1:{self.kafka_port}"
        self.process = None
        self.settings = []  # Its own, besides those of all.

    def status(self):
        try:
            url = f"http://127.0.0.1:{self.admin_port}/v1/status"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Failure(f"node {self.number} has no memory")


class Cluster:
    def __init__(self, nodes=3, settings=()):
        self.pyralog = os.environ.get("PYRALOG", "")
        expect(os.access(self.pyralog, os.X_OK), "PYRALOG must name the program to test")
        self.settings = list(settings)
        self.room = tempfile.mkdtemp(prefix="pyralog-e2e-")
        ports = free_ports(3 * nodes)
        self.nodes = [Node(i + 1, self.room, ports[3 * i:3 * i + 3]) for i in range(nodes)]
        self.bootstrap = ",".join(node.address for node in self.nodes)

    def start(self, node):
        members = ",".join(f"{n.number}=127.0.0.1:{n.peer_port}" for n in self.nodes)
        command = [self.pyralog, "start", "--node-id", str(node.number), "--cluster", members,
                   "--cluster-name", "e2e", "--data-dir", node.directory,
                   "--port", str(node.kafka_port), "--admin-port", str(node.admin_port),
                   "--set", "kafka.host=127.0.0.1"]
        for setting in [*self.settings, *node.settings]:
            command += ["--set", setting]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYRALOG")}
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment)

    def start_all(self):
        for node in self.nodes:
            self.start(node)
        self.wait_until_formed()

    def wait_until_formed(self, seconds=60.0):
        def formed():
            for node in self.nodes:
                code = node.process.poll()
                expect(code is None, f"node {node.number} has ended with {code}")
            return all((node.status() or {}).get("formed") for node in self.nodes)
        until("the cluster has formed", formed, seconds)

    def kill(self, node):
        node.process.kill()
        node.process.wait()

    def stop_all(self, seconds=30):
        """All at once, as if the machine were shut down in order. Each must end with 0."""
        for node in self.nodes:
            node.process.terminate()
        for node in self.nodes:
            try:
                code = node.process.wait(seconds)
            except subprocess.TimeoutExpired as late:
                raise Failure(f"node {node.number} does not end after SIGTERM") from late
            expect(code == 0, f"node {node.number} ends with {code} after SIGTERM")

    def expect_alive(self):
        for node in self.nodes:
            code = node.process.poll()
            expect(code is None, f"node {node.number} has ended with {code}")

    def node_of(self, number):
        return next(node for node in self.nodes if node.number == number)

    def leaders(self, topic):
        """Who leads each partition of the topic, by partition. None while there is nobody."""
        known = json.loads(kcat("-b", self.bootstrap, "-L", "-J", "-t", topic))
        partitions = known["topics"][0]["partitions"]
        return {p["partition"]: p["leader"] if p["leader"] > 0 else None for p in partitions}

    def watermarks(self, topic):
        """Where each partition of the topic ends, by partition."""
        ends = {}
        for partition in self.leaders(topic):
            answer = kcat("-b", self.bootstrap, "-Q", "-t", f"{topic}:{partition}:-1")
            ends[partition] = int(answer.split()[-1])
        return ends

    def digests(self):
        """What `pyralog log digest` says of all nodes, which must have been stopped."""
        done = subprocess.run([self.pyralog, "log", "digest", "--json",
                               *[node.directory for node in self.nodes]],
                              text=True, capture_output=True, timeout=120, check=False)
        expect(done.returncode == 0, f"log digest: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def destroy(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                self.kill(node)
        shutil.rmtree(self.room, ignore_errors=True)

    def print_logs(self):
        for node in self.nodes:
            if os.path.exists(node.log):
                print(f"---- the end of the log of node {node.number}")
                with open(node.log, encoding="utf-8", errors="replace") as log:
                    print("".join(log.readlines()[-15:]), end="")


def main(seconds, body, nodes=3, settings=(), prepare=None):
    """Runs `body(cluster)` with a cluster that has formed; before it starts, `prepare(cluster)`."""
    def out_of_time(_signal, _frame):
        raise Failure(f"not done within {seconds} s")

    def interrupted(number, _frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, interrupted)
    signal.alarm(seconds)
    cluster = Cluster(nodes, settings)
    try:
        if prepare:
            prepare(cluster)
        cluster.start_all()
        body(cluster)
        print("all as it should be")
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(f"FAILED: {failure}")
        cluster.print_logs()
        sys.exit(1)
    except Exception:
        cluster.print_logs()
        raise
    finally:
        signal.alarm(0)
        cluster.destroy()
