#!/usr/bin/python3
"""Consumer groups with kcat, kafka-python and confluent-kafka (librdkafka): partitions are shared
out, and again when somebody joins or leaves; offsets survive the kill of the coordinator, and a
restart of everything."""

import json
import logging
import subprocess
import threading
import time

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors

from cluster import expect, kcat, main, until

PATIENCE = 30
PARTITIONS = 4


def make_topic(cluster, name):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([confluent_kafka.admin.NewTopic(name, PARTITIONS, 3)])[name].result(PATIENCE)


def produce(cluster, topic, first, count):
    """As many to each partition as to any other."""
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    errors = []
    for i in range(first, first + count):
        producer.produce(topic, str(i), partition=i % PARTITIONS,
                         on_delivery=lambda error, _: errors.append(error) if error else None)
    expect(producer.flush(PATIENCE) == 0 and not errors, f"not all produced: {errors[:3]}")


def coordinator_of(cluster, group):
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))
    try:
        return cluster.node_of(admin._find_coordinator_ids([group])[group])
    finally:
        admin.close()


# ---- kcat ----

def kcat_groups(cluster):
    make_topic(cluster, "for-kcat")

    def consume(topic):
        done = subprocess.run(
            ["kcat", "-q", "-b", cluster.bootstrap, "-X", "auto.offset.reset=earliest", "-e",
             "-X", "session.timeout.ms=6000", "-G", "kcat-group", topic],
            text=True, capture_output=True, timeout=60, check=False)
        expect(done.returncode == 0, f"kcat -G exits with {done.returncode}: {done.stderr}")
        return sorted(map(int, done.stdout.split()))

    produce(cluster, "for-kcat", 0, 100)
    expect(consume("for-kcat") == list(range(100)), "kcat -G does not read everything")
    produce(cluster, "for-kcat", 100, 20)
    got = consume("for-kcat")
    expect(got == list(range(100, 120)), f"kcat -G reads {got[:5]} ..., not what is new")


# ---- kafka-python ----

class OldMember(threading.Thread):
    """A KafkaConsumer, which is used by this thread alone."""

    def __init__(self, cluster, group, topic):
        super().__init__(daemon=True)
        self.consumer = kafka.KafkaConsumer(
            topic, bootstrap_servers=cluster.bootstrap.split(","), group_id=group,
            auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=6000,
            heartbeat_interval_ms=300, max_poll_interval_ms=10000)
        self.seen = []
        self.owned = frozenset()
        self.leaving = False
        self.failed = None
        self.start()

    def run(self):
        try:
            while not self.leaving:
                for records in self.consumer.poll(timeout_ms=100).values():
                    self.seen += [int(record.value) for record in records]
                self.owned = frozenset(p.partition for p in self.consumer.assignment())
                try:
                    self.consumer.commit()
                except kafka.errors.CommitFailedError:
                    pass  # Others have it now, and read it again.
            self.consumer.close()
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def leave(self):
        self.leaving = True
        self.join(PATIENCE)
        expect(not self.is_alive() and self.failed is None, f"a member failed: {self.failed!r}")


def shared_out(members):
    """Each partition has one owner, and each member its share."""
    owned = [member.owned for member in members]
    for member in members:
        expect(getattr(member, "failed", None) is None, f"a member failed: {member}")
    return (sorted(p for some in owned for p in some) == list(range(PARTITIONS))
            and all(len(some) == PARTITIONS // len(members) for some in owned))


def kafka_python_groups(cluster):
    make_topic(cluster, "for-python")
    produce(cluster, "for-python", 0, 100)
    one = OldMember(cluster, "python-group", "for-python")
    until("one member has all partitions", lambda: shared_out([one]))
    two = OldMember(cluster, "python-group", "for-python")
    until("two members share the partitions", lambda: shared_out([one, two]))
    produce(cluster, "for-python", 100, 100)
    until("they read everything", lambda: set(one.seen) | set(two.seen) == set(range(200)))
    two.leave()
    until("the other has all partitions again", lambda: shared_out([one]))
    produce(cluster, "for-python", 200, 100)
    until("and reads on", lambda: set(one.seen) | set(two.seen) == set(range(300)))
    time.sleep(0.3)  # It commits after each poll.
    one.leave()

    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))
    offsets = {p.partition: known.offset
               for p, known in admin.list_consumer_group_offsets("python-group").items()}
    expect(offsets == {p: 75 for p in range(PARTITIONS)}, f"committed: {offsets}")
    expect(("python-group", "consumer") in admin.list_consumer_groups(), "it is not listed")
    described = admin.describe_consumer_groups(["python-group"])[0]
    expect(described.state == "Empty", f"described: {described}")
    deleted = admin.delete_consumer_groups(["python-group"])
    expect(deleted == [("python-group", kafka.errors.NoError)], f"deleted: {deleted}")
    expect(not admin.list_consumer_group_offsets("python-group"), "its offsets are still there")
    admin.close()


# ---- confluent-kafka ----

class Member:
    """A librdkafka consumer, with a thread that polls it."""

    def __init__(self, cluster, group, topic, **settings):
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": cluster.bootstrap, "group.id": group,
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, **settings})
        self.seen = []
        self.errors = []
        self.committed = {}
        self.leaving = False
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def owned(self):
        return frozenset(p.partition for p in self.consumer.assignment())

    def run(self):
        while not self.leaving:
            message = self.consumer.poll(0.1)
            if message is None or message.error():
                continue
            self.seen.append(int(message.value()))
            try:
                self.consumer.commit(message, asynchronous=False)
                self.committed[message.partition()] = message.offset() + 1
            except confluent_kafka.KafkaException as error:
                self.errors.append(error.args[0].name())

    def leave(self):
        self.leaving = True
        self.thread.join(PATIENCE)
        self.consumer.close()


def confluent_groups(cluster, strategy):
    topic = "for-" + strategy
    group = "group-" + strategy
    make_topic(cluster, topic)
    produce(cluster, topic, 0, 40)
    members = [Member(cluster, group, topic, **{"partition.assignment.strategy": strategy})
               for _ in range(2)]
    until("two members share the partitions", lambda: shared_out(members))
    until("they read everything", lambda: set(members[0].seen + members[1].seen) == set(range(40)))

    coordinator = coordinator_of(cluster, group)
    cluster.kill(coordinator)
    produce(cluster, topic, 40, 40)
    until("they read on without their coordinator",
          lambda: set(members[0].seen + members[1].seen) == set(range(80)), 60)
    cluster.start(coordinator)
    cluster.wait_until_formed()
    members.pop().leave()
    until("one member has all partitions", lambda: shared_out(members))
    produce(cluster, topic, 80, 8)
    seen = lambda: set(members[0].seen) >= set(range(80, 88))
    until("and reads on", seen)
    until("all that was read is committed", lambda: committed(cluster, group, topic) == [22] * 4)
    members.pop().leave()


def committed(cluster, group, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group})
    try:
        known = consumer.committed([confluent_kafka.TopicPartition(topic, p)
                                    for p in range(PARTITIONS)], timeout=PATIENCE)
        return [p.offset for p in known]
    finally:
        consumer.close()


def static_member(cluster):
    """Comes back within its session, and nobody has to share out anything again."""
    make_topic(cluster, "for-static")
    settings = {"group.instance.id": "the one", "session.timeout.ms": 20000}
    one = Member(cluster, "static-group", "for-static", **settings)
    until("it has all partitions", lambda: shared_out([one]))
    one.leave()  # A static member does not say that it goes.
    again = Member(cluster, "static-group", "for-static", **settings)
    until("it has them again", lambda: shared_out([again]), 15)
    again.leave()


def command_line(cluster):
    bootstrap = cluster.nodes[0].address

    def group(*arguments, code=0):
        done = subprocess.run([cluster.pyralog, "group", *arguments, "--bootstrap", bootstrap],
                              text=True, capture_output=True, timeout=60, check=False)
        expect(done.returncode == code, f"group {arguments} exits with {done.returncode}: "
                                        f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr

    def lags(name):
        described = group("describe", name, "--json")
        return [(p["committed"], p["lag"]) for p in described["offsets"]]

    listed = {g["group"]: g["state"] for g in group("list", "--json")}
    expect(listed.get("group-range") == "Empty", f"listed: {listed}")
    expect("group-range" in group("list"), "the table does not name the group")
    expect(lags("group-range") == [(22, 0)] * 4, f"described: {lags('group-range')}")
    group("reset-offsets", "group-range", "--topic", "for-range", "--to", "earliest")
    expect(lags("group-range") == [(0, 22)] * 4, f"rewound: {lags('group-range')}")
    group("reset-offsets", "group-range", "--topic", "for-range:2", "--to", "5")
    expect(lags("group-range")[2] == (5, 17), f"rewound: {lags('group-range')}")
    text = group("reset-offsets", "group-range", "--topic", "none", "--to", "latest", code=1)
    expect("no such topic" in text, text)
    group("reset-offsets", "group-range", "--topic", "for-range", "--to", "there", code=2)
    member = Member(cluster, "group-range", "for-range")
    until("it is a member", lambda: shared_out([member]))
    expect("for-range:0" in group("describe", "group-range"), "no share in the table")
    expect("NON_EMPTY_GROUP" in group("delete", "group-range", code=1), "a group in use is deleted")
    member.leave()
    group("delete", "group-range")
    expect("no such group" in group("describe", "group-range", code=1), "it is still there")


def body(cluster):
    kcat_groups(cluster)
    kafka_python_groups(cluster)
    for strategy in ("range", "cooperative-sticky"):
        confluent_groups(cluster, strategy)
    static_member(cluster)
    cluster.expect_alive()
    cluster.stop_all()
    cluster.start_all()
    for strategy in ("range", "cooperative-sticky"):
        got = committed(cluster, "group-" + strategy, "for-" + strategy)
        expect(got == [22] * 4, f"committed after a restart of everything: {got}")
    command_line(cluster)
    cluster.stop_all()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    main(240, body, settings=["group.initial_rebalance_delay=0s", "group.offsets_partitions=4"])
