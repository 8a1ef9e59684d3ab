#!/usr/bin/python3
"""A compacted topic under kcat and confluent-kafka: keys that are written again and again, in plain
and in compressed batches, small segments, and a wait. From the beginning there is the newest record
of each key, at the offset that it was given; deleted keys go; and the replicas are equal."""

import json
import subprocess
import time

import confluent_kafka
import confluent_kafka.admin

from cluster import Failure, expect, kcat, main, until

PATIENCE = 60
KEYS = 40
ROUNDS = 25
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PRODUCERS = {}  # One for each codec: each must learn first who leads.


def create(cluster, name, **config):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})
    topic = confluent_kafka.admin.NewTopic(
        name, 1, 3, config={k.replace("_", "."): str(v) for k, v in config.items()})
    admin.create_topics([topic])[name].result(PATIENCE)


def refused(cluster, **config):
    try:
        create(cluster, "never", **config)
    except confluent_kafka.KafkaException as error:
        return error.args[0].str()
    raise Failure(f"a topic is made with {config}")


def produce(cluster, topic, records, codec="none"):
    """Acknowledged, each at its offset: they are in the order of `records`."""
    offsets = []

    def done(error, message):
        expect(error is None, f"not delivered: {error}")
        offsets.append(message.offset())

    if codec not in PRODUCERS:
        PRODUCERS[codec] = confluent_kafka.Producer({
            "bootstrap.servers": cluster.bootstrap, "compression.codec": codec, "linger.ms": 20,
            "batch.num.messages": 50, "message.timeout.ms": PATIENCE * 1000, "log_level": 0})
    producer = PRODUCERS[codec]
    for key, value in records:
        producer.produce(topic, key=key, value=value, partition=0, callback=done)
        producer.poll(0)
    expect(producer.flush(PATIENCE) == 0, "not everything was delivered")
    return offsets


def read(cluster, topic):
    """What kcat sees from the beginning to the end: a list of (offset, key, value)."""
    text = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-p", 0, "-o", "beginning", "-e", "-J",
                "-X", "check.crcs=true", seconds=PATIENCE)
    records = [json.loads(line) for line in text.splitlines()]
    return [(r["offset"], r["key"], r["payload"]) for r in records]


def read_with_library(cluster, topic, end):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "nobody",
        "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    records = []
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            expect(message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF,
                   f"{message.error()}")
            break
        value = message.value()
        records.append((message.offset(), message.key().decode(),
                        None if value is None else value.decode()))
    low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0))
    expect((low, high) == (0, end), f"the log is said to be from {low} to {high}, not 0 to {end}")
    consumer.close()
    return records


def write_rounds(cluster, topic, newest):
    """Every key again and again, by each codec in turn. `newest`: offset and value of each key."""
    for number in range(ROUNDS):
        records = [(f"key-{k}", f"{number}-{k}-" + "x" * 100) for k in range(KEYS)]
        offsets = produce(cluster, topic, records, CODECS[number % len(CODECS)])
        for (key, value), offset in zip(records, offsets, strict=True):
            newest[key] = (offset, value)


def check(records, newest, deleted=()):
    """Offsets rise; nothing is invented; of each key there is the newest, and nothing behind it."""
    offsets = [offset for offset, _, _ in records]
    expect(offsets == sorted(set(offsets)), "offsets do not rise")
    last = {key: (offset, value) for offset, key, value in records}
    for key, wanted in newest.items():
        expect(last.get(key) == wanted, f"of {key} there is {last.get(key)}, and not {wanted}")
    for key in deleted:
        value = last.get(key, (0, None))[1]
        expect(value is None or value == "", f"{key} was deleted, and is {value}")


def count(records, key):
    return sum(1 for _, k, _ in records if k == key)


def compacts(cluster):
    create(cluster, "last", cleanup_policy="compact", segment_bytes=20_000,
           min_cleanable_dirty_ratio="0.1", delete_retention_ms=2000)
    newest = {}
    produce(cluster, "last", [("gone", "once")])
    write_rounds(cluster, "last", newest)
    produce(cluster, "last", [("gone", None)])
    write_rounds(cluster, "last", newest)
    total = 2 * ROUNDS * KEYS + 2

    def is_small():
        records = read(cluster, "last")
        check(records, newest, deleted=["gone"])
        return records if len(records) < total / 4 else None

    small = until("most records are gone", is_small, PATIENCE)
    expect(small[-1][0] == total - 1, "the last record is not the last one")

    # Deleted keys go when there is more to compact, and time has passed.
    def is_forgotten():
        write_rounds(cluster, "last", newest)
        records = read(cluster, "last")
        check(records, newest)
        return count(records, "gone") == 0

    until("what was deleted is forgotten", is_forgotten, PATIENCE)
    end = read(cluster, "last")[-1][0] + 1
    check(read_with_library(cluster, "last", end), newest, deleted=["gone"])
    return newest


def takes_what_it_can_compact(cluster):
    try:
        produce(cluster, "last", [(None, "no key")], "lz4")
        expect(False, "a record without a key is taken")
    except Failure as failure:
        expect("INVALID_RECORD" in str(failure) or "invalid" in str(failure).lower() or
               "Broker" in str(failure), f"refused for another reason: {failure}")
    expect("max.compaction.lag.ms" in refused(cluster, max_compaction_lag_ms=1), "not by name")
    expect("cleanup.policy" in refused(cluster, cleanup_policy="shrink"), "not by name")


def replicas_are_equal(cluster, newest):
    cluster.stop_all()
    directories = [node.directory for node in cluster.nodes]
    digest = subprocess.run([cluster.pyralog, "log", "digest", "--json", *directories], text=True,
                            capture_output=True, timeout=PATIENCE, check=False)
    expect(digest.returncode == 0, f"the replicas differ: {digest.stdout}{digest.stderr}")
    for directory in directories:
        verified = subprocess.run([cluster.pyralog, "log", "verify", directory], text=True,
                                  capture_output=True, timeout=PATIENCE, check=False)
        expect(verified.returncode == 0, f"{directory}: {verified.stdout}")
        stats = subprocess.run([cluster.pyralog, "log", "stats", "--json", directory], text=True,
                               capture_output=True, timeout=PATIENCE, check=False)
        groups = json.loads(stats.stdout)
        expect(any(g["reduced_entries"] > 100 for g in groups), "nothing was compacted here")
    cluster.start_all()
    until("it can be read again", lambda: cluster.leaders("last").get(0))
    check(read(cluster, "last"), newest, deleted=["gone"])


def body(cluster):
    newest = compacts(cluster)
    takes_what_it_can_compact(cluster)
    replicas_are_equal(cluster, newest)
    cluster.stop_all()


if __name__ == "__main__":
    main(240, body, settings=["topic.compaction_interval=500ms", "log.segment_flush_bytes=4KiB"])
