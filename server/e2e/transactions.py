#!/usr/bin/python3
"""Transactions, with real clients: numbered lines are read from one topic, written to another and
their offsets committed, in transactions of librdkafka, of which every fourth is aborted, while who
leads the target, who coordinates the transactions and who coordinates the group are killed with
SIGKILL and started again. With read_committed each line is there exactly once, also for kcat;
without it aborted ones are seen as well. Besides that: an open transaction holds back what is
behind it, one that takes too long is aborted, and of two that have one name the first is fenced."""

import time

import confluent_kafka
from confluent_kafka import TopicPartition

from cluster import expect, kcat, main, until

LINES = 6000
PARTITIONS = 3
BATCH = 40
PATIENCE = 90


def create(cluster, topic):
    kcat("-b", cluster.bootstrap, "-L", "-t", topic)
    until("every partition has a leader",
          lambda: len(cluster.leaders(topic)) == PARTITIONS
          and all(cluster.leaders(topic).values()))


def producer_of(cluster, name, **more):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": cluster.bootstrap, "transactional.id": name, "linger.ms": 2,
        "reconnect.backoff.max.ms": 200, "log_level": 0, **more})
    producer.init_transactions(PATIENCE)
    return producer


def consumer_of(cluster, group, **more):
    return confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": group, "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "log_level": 0,
        "reconnect.backoff.max.ms": 200, **more})


def fill(cluster, topic):
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap,
                                         "enable.idempotence": True})
    for number in range(LINES):
        producer.produce(topic, str(number), partition=number % PARTITIONS)
        producer.poll(0)
    expect(producer.flush(PATIENCE) == 0, "not all lines were delivered")


def read(cluster, topic, isolation):
    got = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q",
               "-X", f"isolation.level={isolation}", "-f", "%s\n", seconds=120)
    return got.split()


class Transformer:
    """Consumes, transforms, produces; exactly once, whatever happens to the brokers."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.done = 0
        self.transactions = self.aborted = self.failed = 0
        self.open()

    def open(self):
        self.producer = producer_of(self.cluster, "transformer")
        self.consumer = consumer_of(self.cluster, "transformers")
        self.consumer.subscribe(["source"])

    def rewind(self):
        """Back to what is committed: the transaction came to nothing."""
        assigned = self.consumer.assignment()
        for place in self.consumer.committed(assigned, timeout=PATIENCE):
            if place.offset < 0:
                place.offset = confluent_kafka.OFFSET_BEGINNING
            self.consumer.seek(place)

    def step(self):
        records = [r for r in self.consumer.consume(BATCH, timeout=1.0) if r.error() is None]
        if not records:
            return
        self.transactions += 1
        try:
            self.producer.begin_transaction()
            for record in records:
                number = int(record.value())
                self.producer.produce("target", str(number), partition=number // 7 % PARTITIONS)
            ends = {}
            for record in records:
                ends[record.topic(), record.partition()] = record.offset() + 1
            offsets = [TopicPartition(t, p, offset) for (t, p), offset in ends.items()]
            self.producer.send_offsets_to_transaction(
                offsets, self.consumer.consumer_group_metadata(), PATIENCE)
            if self.transactions % 4 == 0:
                self.aborted += 1
                self.producer.flush(PATIENCE)
                self.producer.abort_transaction(PATIENCE)
                self.rewind()
                return
            self.producer.commit_transaction(PATIENCE)
            self.done += len(records)
        except confluent_kafka.KafkaException as raised:
            error = raised.args[0]
            self.failed += 1
            print(f"transaction {self.transactions}: {error.code()} {error.str()}", flush=True)
            if error.fatal() or not error.txn_requires_abort():
                self.consumer.close()
                self.open()
                return
            self.producer.abort_transaction(PATIENCE)
            self.rewind()


def leader_of(cluster, topic, partition=0):
    return cluster.node_of(until("somebody leads",
                                 lambda: cluster.leaders(topic).get(partition)))


def transform(cluster):
    for topic in "source", "target":
        create(cluster, topic)
    fill(cluster, "source")
    transformer = Transformer(cluster)
    victims = ["target", "__transaction_state", "__consumer_offsets", "target"]
    ended = time.monotonic() + 240
    dead = None
    while transformer.done < LINES:
        expect(time.monotonic() < ended, f"only {transformer.done} of {LINES} lines in time")
        transformer.step()
        if dead is not None and time.monotonic() > dead[1]:
            cluster.start(dead[0])
            cluster.wait_until_formed()
            dead = None
        due = (5 - len(victims)) * LINES // 6
        if victims and dead is None and transformer.done > due:
            victim = victims.pop(0)
            node = leader_of(cluster, victim)
            cluster.kill(node)
            print(f"killed who leads {victim}, after {transformer.done} lines", flush=True)
            dead = node, time.monotonic() + 2
    if dead is not None:
        cluster.start(dead[0])
        cluster.wait_until_formed()
    transformer.consumer.close()
    expect(not victims, "not all kills happened")
    committed = until("all transactions have ended",
                      lambda: (got := read(cluster, "target", "read_committed"))
                      and len(got) >= LINES and got)
    expect(sorted(map(int, committed)) == list(range(LINES)),
           f"{len(committed)} lines, {len(set(committed))} different, of {LINES}")
    everything = read(cluster, "target", "read_uncommitted")
    expect(len(everything) > LINES and set(everything) == set(committed),
           "without read_committed nothing else is seen")
    print(f"{LINES} lines, each exactly once, in {transformer.transactions} transactions; "
          f"{transformer.aborted} aborted on purpose, {transformer.failed} failed; "
          f"{len(everything) - LINES} records of aborted ones", flush=True)


def stability(cluster):
    """What is behind an open transaction is not read before that ends."""
    create(cluster, "stable")
    plain = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    open_one = producer_of(cluster, "open")
    open_one.begin_transaction()
    open_one.produce("stable", "part", partition=0)
    expect(open_one.flush(PATIENCE) == 0, "the part was not delivered")
    plain.produce("stable", "behind", partition=0)
    expect(plain.flush(PATIENCE) == 0, "what is behind was not delivered")
    expect(read(cluster, "stable", "read_committed") == [], "it was read too early")
    expect(read(cluster, "stable", "read_uncommitted") == ["part", "behind"], "it is not there")
    open_one.commit_transaction(PATIENCE)
    until("it is read", lambda: read(cluster, "stable", "read_committed") == ["part", "behind"])
    print("what is behind an open transaction waits for it")


def timeouts(cluster):
    slow = producer_of(cluster, "slow", **{"transaction.timeout.ms": 2000})
    slow.begin_transaction()
    slow.produce("stable", "late", partition=1)
    expect(slow.flush(PATIENCE) == 0, "it was not delivered")
    plain = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    plain.produce("stable", "after", partition=1)
    plain.flush(PATIENCE)
    until("the time is up", lambda: "after" in read(cluster, "stable", "read_committed"))
    expect("late" not in read(cluster, "stable", "read_committed"), "it counts all the same")
    try:
        slow.commit_transaction(PATIENCE)
        expect(False, "it was committed after its time")
    except confluent_kafka.KafkaException as raised:
        print(f"a transaction that took too long is aborted: {raised.args[0].name()}")


def zombies(cluster):
    first = producer_of(cluster, "twins")
    first.begin_transaction()
    first.produce("stable", "zombie", partition=2)
    expect(first.flush(PATIENCE) == 0, "it was not delivered")
    second = producer_of(cluster, "twins")
    second.begin_transaction()
    second.produce("stable", "heir", partition=2)
    second.commit_transaction(PATIENCE)
    try:
        first.commit_transaction(PATIENCE)
        expect(False, "the first of two was not fenced")
    except confluent_kafka.KafkaException as raised:
        print(f"of two with one name the first is fenced: {raised.args[0].name()}")
    until("the heir is read", lambda: "heir" in read(cluster, "stable", "read_committed"))
    expect("zombie" not in read(cluster, "stable", "read_committed"), "the zombie counts")


def body(cluster):
    stability(cluster)
    timeouts(cluster)
    zombies(cluster)
    transform(cluster)


if __name__ == "__main__":
    main(280, body, settings=[f"topic.partitions={PARTITIONS}", "group.initial_rebalance_delay=0s"])
