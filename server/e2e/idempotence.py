#!/usr/bin/python3
"""Idempotent producers, with real clients: numbered lines are produced by librdkafka with
enable.idempotence and five requests under way, from Python and through kcat, while whoever leads is
killed with SIGKILL and started again, several times. Afterwards each line is there exactly once,
and in order within its partition. Then kcat once more over a rolling restart. Between these a
leader is asked whom it remembers."""

import os
import socket
import struct
import subprocess
import threading
import time

import confluent_kafka

from cluster import expect, kcat, main, until

PARTITIONS = 3
KILLS = 3
LINES_LEAST = 30_000
PATIENCE = 120


def kill_leaders(cluster, topic, count_of, over):
    """Each time that lines flow, the leader of a partition; and who led is back before the next."""
    for round_number in range(KILLS):
        before = count_of()
        until("lines flow", lambda: count_of() > before + 3000)
        partition = round_number % PARTITIONS
        number = until("somebody leads", lambda: cluster.leaders(topic).get(partition))
        node = cluster.node_of(number)
        cluster.kill(node)
        print(f"{topic}: kill {round_number + 1}: node {number}, after {count_of()} lines",
              flush=True)
        until("another node leads",
              lambda: cluster.leaders(topic).get(partition) not in (None, number))
        cluster.start(node)
        cluster.wait_until_formed()
    over.set()


def create(cluster, topic):
    kcat("-b", cluster.bootstrap, "-L", "-t", topic)
    until("every partition has a leader",
          lambda: len(cluster.leaders(topic)) == PARTITIONS
          and all(cluster.leaders(topic).values()))


def check(cluster, topic, count):
    """Each of the lines 0 to count - 1 exactly once, rising in each partition."""
    got = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-f", "%p %s\n",
               seconds=120)
    newest = {}
    seen = set()
    for record in got.splitlines():
        partition, number = map(int, record.split())
        expect(number not in seen, f"{topic}: line {number} is there twice")
        expect(number > newest.get(partition, -1),
               f"{topic}: partition {partition}: {number} comes after {newest.get(partition)}")
        newest[partition] = number
        seen.add(number)
    missing = [n for n in range(count) if n not in seen]
    expect(not missing, f"{topic}: {len(missing)} of {count} lines are lost: {missing[:5]} ...")
    expect(len(seen) == count, f"{topic}: {len(seen)} lines, more than the {count} that were sent")
    print(f"{topic}: {count} lines, each exactly once and in order")


def python_client(cluster):
    """confluent_kafka, whose delivery reports must all be good."""
    topic = "python"
    create(cluster, topic)
    failures = []
    errors = []
    producer = confluent_kafka.Producer({
        "bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "linger.ms": 2,
        "batch.num.messages": 50, "reconnect.backoff.max.ms": 200, "log_level": 0,
        "error_cb": lambda error: errors.append(error) if error.fatal() else None})
    sent = 0
    over = threading.Event()
    killer = threading.Thread(target=kill_leaders, daemon=True,
                              args=(cluster, topic, lambda: sent, over))
    killer.start()

    def delivered(error, _):
        if error is not None:
            failures.append(str(error))

    while (not over.is_set() and killer.is_alive()) or sent < LINES_LEAST:
        producer.produce(topic, str(sent), partition=sent % PARTITIONS, on_delivery=delivered)
        sent += 1
        producer.poll(0)
        if sent % 20 == 0:
            time.sleep(0.002)
    killer.join()
    expect(over.is_set(), "the kills did not come to an end")
    expect(producer.flush(PATIENCE) == 0, "not all lines were delivered")
    expect(not failures and not errors, f"deliveries failed: {failures[:3]} {errors[:3]}")
    check(cluster, topic, sent)


class Feeder(threading.Thread):
    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.count = 0
        self.over = threading.Event()

    def run(self):
        while self.count < LINES_LEAST or not self.over.is_set():
            numbers = range(self.count, self.count + 100)
            self.pipe.write("".join(f"{n}\n" for n in numbers))
            self.count += 100
            time.sleep(0.006)
        self.pipe.close()


def with_kcat(cluster, topic, disturb):
    create(cluster, topic)
    command = ["kcat", "-b", cluster.bootstrap, "-P", "-t", topic, "-X", "enable.idempotence=true",
               "-X", "linger.ms=2", "-X", "batch.num.messages=50",
               "-X", "enable.sparse.connections=false", "-X", "reconnect.backoff.max.ms=200"]
    with open(os.path.join(cluster.room, "kcat.log"), "w+", encoding="utf-8") as log:
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                    text=True)
        try:
            feeder = Feeder(producer.stdin)
            feeder.start()
            disturb(feeder)
            feeder.join()
            code = producer.wait(PATIENCE)
        finally:
            producer.kill()
            producer.wait()
        log.seek(0)
        complaints = log.read()
    expect(code == 0 and "Delivery failed" not in complaints and "atal" not in complaints,
           f"kcat exits with {code}: {complaints[-2000:]}")
    check(cluster, topic, feeder.count)


def rolling_restart(cluster, feeder):
    """One after the other is stopped as an operator does it."""
    for number in (1, 2, 3):
        before = feeder.count
        until("lines flow", lambda before=before: feeder.count > before + 3000)
        node = cluster.node_of(number)
        node.process.terminate()
        expect(node.process.wait(30) == 0, f"node {number} does not end well")
        cluster.start(node)
        cluster.wait_until_formed()
    feeder.over.set()


def describe_producers(cluster):
    """An admin sees who writes: librdkafka has no such call, so the question is put by hand."""
    leader = until("somebody leads", lambda: cluster.leaders("python").get(0))
    body = b"\x02" + b"\x07python" + b"\x02" + struct.pack(">i", 0) + b"\x00\x00"
    header = struct.pack(">hhi", 61, 0, 9) + struct.pack(">h", -1) + b"\x00"
    address = ("127.0.0.1", cluster.node_of(leader).kafka_port)
    with socket.create_connection(address, timeout=10) as stream:
        frame = header + body
        stream.sendall(struct.pack(">i", len(frame)) + frame)
        size = struct.unpack(">i", stream.recv(4, socket.MSG_WAITALL))[0]
        answer = stream.recv(size, socket.MSG_WAITALL)
    # correlation, tags; throttle; one topic, its name; one partition: index, error, no message.
    at = 4 + 1 + 4 + 1 + 7 + 1
    index, error = struct.unpack_from(">ih", answer, at)
    expect((index, error) == (0, 0), f"DescribeProducers: partition {index}, error {error}")
    count = answer[at + 7] - 1
    producer, epoch, sequence = struct.unpack_from(">qii", answer, at + 8)
    expect(count == 1 and producer >= 0 and epoch == 0 and sequence > 0,
           f"DescribeProducers: {count} producers: {producer} {epoch} {sequence}")
    print(f"producer {producer} of partition python/0 is at sequence {sequence}")


def body(cluster):
    python_client(cluster)
    describe_producers(cluster)
    with_kcat(cluster, "kcat",
              lambda feeder: kill_leaders(cluster, "kcat", lambda: feeder.count, feeder.over))
    with_kcat(cluster, "rolling", lambda feeder: rolling_restart(cluster, feeder))


if __name__ == "__main__":
    main(280, body, settings=[f"topic.partitions={PARTITIONS}"])
