#!/usr/bin/python3
"""Debian's two Python clients, kafka-python and confluent-kafka (librdkafka): topics, producing
with every acks, consuming from assigned partitions, and offsets by number and by time."""

import logging
import time

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors

from cluster import expect, main, until

PATIENCE = 20


def now_ms():
    return int(time.time() * 1000)


# ---- kafka-python ----

def old_consumer(cluster, topic, partition=0):
    consumer = kafka.KafkaConsumer(bootstrap_servers=cluster.bootstrap.split(","), group_id=None,
                                   enable_auto_commit=False, consumer_timeout_ms=PATIENCE * 1000)
    where = kafka.TopicPartition(topic, partition)
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    return consumer, where


def take(consumer, count):
    taken = []
    for record in consumer:
        taken.append(record)
        if len(taken) == count:
            break
    return taken


def kafka_python_topics(cluster):
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))
    admin.create_topics([kafka.admin.NewTopic("old", 3, 3)])
    try:
        admin.create_topics([kafka.admin.NewTopic("old", 3, 3)])
        expect(False, "a topic can be created twice")
    except kafka.errors.TopicAlreadyExistsError:
        pass
    try:
        admin.create_topics([kafka.admin.NewTopic("too-many", 1, 7)])
        expect(False, "three nodes hold seven replicas")
    except kafka.errors.InvalidReplicationFactorError:
        pass
    known = until("the topic is known", lambda: [
        topic for topic in admin.describe_topics(["old"]) if len(topic["partitions"]) == 3
        and all(p["leader"] > 0 for p in topic["partitions"])])
    expect(all(len(p["replicas"]) == 3 for p in known[0]["partitions"]), f"not 3 replicas: {known}")
    admin.create_topics([kafka.admin.NewTopic("short-lived", 1, 3)])
    until("it is listed", lambda: "short-lived" in admin.list_topics())
    admin.delete_topics(["short-lived"])
    until("it is gone", lambda: "short-lived" not in admin.list_topics())
    try:
        admin.delete_topics(["never-was"])
        expect(False, "a topic that never was can be deleted")
    except kafka.errors.UnknownTopicOrPartitionError:
        pass
    admin.close()


def kafka_python_records(cluster):
    count = 500
    for acks in ("all", 1):
        producer = kafka.KafkaProducer(bootstrap_servers=cluster.bootstrap.split(","), acks=acks,
                                       retries=5, max_in_flight_requests_per_connection=1)
        partition = 0 if acks == "all" else 1
        sent = [producer.send("old", value=b"v%d" % i, key=b"k%d" % i, partition=partition,
                              headers=[("n", b"%d" % i)]) for i in range(count)]
        producer.flush(PATIENCE)
        offsets = [future.get(PATIENCE).offset for future in sent]
        expect(offsets == list(range(count)), f"acks={acks}: offsets {offsets[:5]} ...")
        producer.close(PATIENCE)
        consumer, _ = old_consumer(cluster, "old", partition)
        got = [(r.offset, r.key, r.value, r.headers) for r in take(consumer, count)]
        wanted = [(i, b"k%d" % i, b"v%d" % i, [("n", b"%d" % i)]) for i in range(count)]
        expect(got == wanted, f"acks={acks}: consumed {got[:2]} ..., not {wanted[:2]} ...")
        consumer.close()


def kafka_python_offsets(cluster):
    producer = kafka.KafkaProducer(bootstrap_servers=cluster.bootstrap.split(","), acks="all")
    start = now_ms()
    for i in range(10):
        producer.send("old", b"x", partition=2, timestamp_ms=start + 10 * i).get(PATIENCE)
    producer.close(PATIENCE)
    consumer, where = old_consumer(cluster, "old", 2)
    expect(consumer.beginning_offsets([where]) == {where: 0}, "the beginning is not at 0")
    expect(consumer.end_offsets([where]) == {where: 10}, "the end is not at 10")
    found = consumer.offsets_for_times({where: start + 35})[where]
    expect((found.offset, found.timestamp) == (4, start + 40), f"by time: {found}")
    beyond = consumer.offsets_for_times({where: start + 91})[where]
    expect(beyond is None, f"beyond all times: {beyond}")
    consumer.seek(where, 7)
    expect([r.offset for r in take(consumer, 3)] == [7, 8, 9], "seek does not lead to 7")
    consumer.close()


# ---- confluent-kafka ----

def confluent_topics(cluster):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})
    new = confluent_kafka.admin.NewTopic
    created = admin.create_topics([new("new", 3, 3), new("gone", 1, 1)])
    for future in created.values():
        future.result(PATIENCE)
    for name, code in (("new", "TOPIC_ALREADY_EXISTS"), ("no/name", "TOPIC_EXCEPTION")):
        try:
            admin.create_topics([new(name, 3, 3)])[name].result(PATIENCE)
            expect(False, f"topic {name} can be created")
        except confluent_kafka.KafkaException as error:
            expect(code in error.args[0].name(), f"{name}: {error}")
    admin.delete_topics(["gone"])["gone"].result(PATIENCE)
    until("it is gone", lambda: "gone" not in admin.list_topics(timeout=PATIENCE).topics)
    known = admin.list_topics(timeout=PATIENCE)
    expect(sorted(known.brokers) == [1, 2, 3], f"brokers {known.brokers}")
    expect(sorted(known.topics["new"].partitions) == [0, 1, 2], f"{known.topics['new'].partitions}")


def confluent_consumer(cluster):
    return confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "not-used",
        "enable.auto.commit": False, "auto.offset.reset": "earliest",
        "enable.partition.eof": True})


def confluent_take(consumer, where, offset):
    """All records of a partition from `offset` on."""
    taken = []
    consumer.assign([confluent_kafka.TopicPartition(where.topic, where.partition, offset)])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            code = message.error().code()
            expect(code == confluent_kafka.KafkaError._PARTITION_EOF, str(message.error()))
            return taken
        taken.append(message)
    expect(False, f"no end of {where} within {PATIENCE} s")
    return taken


def confluent_records(cluster):
    count = 5000
    consumer = confluent_consumer(cluster)
    for partition, (acks, codec) in enumerate([("all", "zstd"), ("1", "lz4"), ("0", "none")]):
        reports = []
        producer = confluent_kafka.Producer({
            "bootstrap.servers": cluster.bootstrap, "acks": acks, "compression.type": codec,
            "linger.ms": 5})
        for i in range(count):
            producer.produce("new", f"value {i}", f"key {i}", partition=partition,
                             headers={"n": str(i)}, on_delivery=lambda e, m: reports.append((e, m)))
            producer.poll(0)
        expect(producer.flush(PATIENCE) == 0, f"acks={acks}: not all delivered")
        errors = [str(error) for error, _ in reports if error]
        expect(len(reports) == count and not errors, f"acks={acks}: {errors[:3]}")
        if acks != "0":
            offsets = [message.offset() for _, message in reports]
            expect(offsets == list(range(count)), f"acks={acks}: offsets {offsets[:5]} ...")
        where = confluent_kafka.TopicPartition("new", partition)
        until(f"all records with acks={acks} are stored", lambda: consumer.get_watermark_offsets(
            where, timeout=PATIENCE, cached=False) == (0, count))
        got = [(m.offset(), m.key(), m.value(), m.headers())
               for m in confluent_take(consumer, where, 0)]
        wanted = [(i, b"key %d" % i, b"value %d" % i, [("n", b"%d" % i)]) for i in range(count)]
        expect(got == wanted, f"acks={acks}: consumed {got[:2]} ..., not {wanted[:2]} ...")
        expect(len(confluent_take(consumer, where, count - 3)) == 3, "not 3 records before the end")
    consumer.close()


def confluent_offsets(cluster):
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all",
                                         "linger.ms": 100})
    start = now_ms()
    for i in range(10):
        producer.produce("timed", "x", partition=0, timestamp=start + 10 * i)
    expect(producer.flush(PATIENCE) == 0, "not all delivered")
    consumer = confluent_consumer(cluster)
    # The broker that it asks may not have heard of a topic yet that was made a moment ago.
    until("the topic is known", lambda: consumer.list_topics("timed").topics["timed"].partitions)
    for when, offset in ((start, 0), (start + 35, 4), (start + 90, 9), (start + 91, -1)):
        wanted = confluent_kafka.TopicPartition("timed", 0, when)
        found = consumer.offsets_for_times([wanted], timeout=PATIENCE)[0]
        # Nothing that late: librdkafka says either where the log ends, or "the end".
        found_offset = -1 if found.offset == 10 else found.offset
        expect(found_offset == offset, f"time +{when - start}: {found}")
    consumer.close()


def body(cluster):
    kafka_python_topics(cluster)
    kafka_python_records(cluster)
    kafka_python_offsets(cluster)
    confluent_topics(cluster)
    confluent_records(cluster)
    confluent_offsets(cluster)
    cluster.expect_alive()
    cluster.stop_all()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    main(240, body)
