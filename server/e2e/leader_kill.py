#!/usr/bin/python3
"""The promise, with real processes: text is produced with acks=all while the leader is killed with
SIGKILL and started again, three times. Afterwards every line that was acknowledged is there, in
order within its partition, and the logs of all three nodes are the same to the byte."""

import glob
import os
import subprocess
import threading
import time

from cluster import Failure, expect, kcat, main, until

TOPIC = "text"
PARTITIONS = 4
LINES = 200_000
KILLS = 3
LINES_PER_CHUNK = 250
# Slow enough that all the kills happen while lines are on their way.
CHUNK_PAUSE = 0.015


def real_text():
    """Licences and copyright notes, which every Debian has."""
    lines = []
    for path in sorted(glob.glob("/usr/share/common-licenses/*")
                       + glob.glob("/usr/share/doc/*/copyright")):
        with open(path, encoding="utf-8", errors="ignore") as file:
            lines += [line.strip() for line in file if line.strip()]
    expect(len(lines) > 1000, "there is no text in /usr/share/common-licenses")
    return lines


class Feeder(threading.Thread):
    """Numbered lines into kcat, LINES of them, and more until it is told that the kills are over."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.count = 0
        self.kills_over = threading.Event()
        self.failure = None

    def run(self):
        text = real_text()
        try:
            while self.count < LINES or not self.kills_over.is_set():
                numbers = range(self.count, self.count + LINES_PER_CHUNK)
                self.pipe.write("".join(f"{n} {text[n % len(text)]}\n" for n in numbers))
                self.count += LINES_PER_CHUNK
                time.sleep(CHUNK_PAUSE)
            self.pipe.close()
        except OSError as error:
            self.failure = error


def kill_leaders(cluster, feeder):
    for round_number in range(KILLS):
        before = feeder.count
        until("lines flow", lambda: feeder.count > before + 10_000 or feeder.failure)
        number = until("somebody leads", lambda: cluster.leaders(TOPIC).get(0))
        node = cluster.node_of(number)
        cluster.kill(node)
        print(f"kill {round_number + 1}: node {number}, which led, after {feeder.count} lines",
              flush=True)
        until("another node leads", lambda: cluster.leaders(TOPIC).get(0) not in (None, number))
        cluster.start(node)
        cluster.wait_until_formed()
    feeder.kills_over.set()


def produce(cluster):
    """How many lines were acknowledged: all, or this fails."""
    # One request at a time, or a retry could overtake. kcat gives up when it has a connection to
    # nobody, and librdkafka comes back to a node only when it needs it: then the third kill could
    # be that of the last one it knows, however long the others have been back.
    command = ["kcat", "-b", cluster.bootstrap, "-P", "-t", TOPIC, "-X", "acks=all", "-X",
               "max.in.flight.requests.per.connection=1", "-X", "linger.ms=5",
               "-X", "enable.sparse.connections=false", "-X", "reconnect.backoff.max.ms=200"]
    with open(os.path.join(cluster.room, "kcat.log"), "w+", encoding="utf-8") as log:
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                    text=True)
        try:
            feeder = Feeder(producer.stdin)
            feeder.start()
            kill_leaders(cluster, feeder)
            feeder.join()
            code = producer.wait(120)
        finally:
            producer.kill()
            producer.wait()
        log.seek(0)
        complaints = log.read()
    expect(feeder.failure is None and code == 0 and "Delivery failed" not in complaints,
           f"kcat exits with {code} ({feeder.failure}): {complaints[-2000:]}")
    return feeder.count


def check_text(cluster, count):
    text = real_text()
    got = kcat("-b", cluster.bootstrap, "-C", "-t", TOPIC, "-o", "beginning", "-e",
               "-f", "%p %o %s\n", seconds=120)
    seen = set()
    newest = {}  # Of each partition: the greatest number so far.
    ends = {}
    repeated = 0
    for record in got.splitlines():
        partition, offset, number, line = record.split(" ", 3)
        number = int(number)
        expect(int(offset) == ends.get(partition, 0),
               f"partition {partition}: offset {offset} comes after {ends.get(partition, 0) - 1}")
        ends[partition] = int(offset) + 1
        expect(line == text[number % len(text)], f"line {number} is not as it was written: {line}")
        if number in seen:
            # Its answer was lost with the leader, and it was sent again.
            repeated += 1
            continue
        if number <= newest.get(partition, -1):
            raise Failure(f"partition {partition}: line {number} comes after {newest[partition]}")
        newest[partition] = number
        seen.add(number)
    missing = [n for n in range(count) if n not in seen]
    expect(not missing, f"{len(missing)} of {count} acknowledged lines are lost: {missing[:5]} ...")
    expect(len(seen) == count, f"there are {len(seen)} lines, more than {count}")
    print(f"{count} lines acknowledged, all there and in order, {repeated} of them twice "
          f"(sent again by the client)")
    return {int(partition): end for partition, end in ends.items()}


def check_replicas(cluster, ends):
    """With all nodes up and nothing to do, each has everything. Then they are asked on the disk."""
    time.sleep(2)
    cluster.stop_all()
    digests = cluster.digests()
    for log in digests:
        expect(len(log["replicas"]) == 3, f"a replica is missing: {log}")
        expect(not log["differs"], f"replicas differ: {log}")
    same = sorted(log["same"]["offset"] for log in digests if log["group"] != 0)
    expect(same == sorted(ends.values()),
           f"the replicas are the same up to {same}, but consumers saw {sorted(ends.values())}")
    for log in digests:
        print(f"group {log['group']}: the same on all nodes up to index {log['same']['index']}, "
              f"offset {log['same']['offset']}, digest {log['digest']}")


def body(cluster):
    kcat("-b", cluster.bootstrap, "-L", "-t", TOPIC)  # Which creates it.
    until("every partition has a leader",
          lambda: len(cluster.leaders(TOPIC)) == PARTITIONS
          and all(cluster.leaders(TOPIC).values()))
    count = produce(cluster)
    ends = check_text(cluster, count)
    check_replicas(cluster, ends)


if __name__ == "__main__":
    main(280, body, settings=[f"topic.partitions={PARTITIONS}"])
