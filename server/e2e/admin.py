#!/usr/bin/python3
"""What operators do with confluent-kafka (librdkafka), kafka-python and kcat, and with requests that
these do not have: settings of topics and nodes, more partitions, leaders that move and move back
while a node is killed, and clients that are slowed down."""

import json
import struct
import time

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors
from kafka.protocol.abstract import AbstractType
from kafka.protocol.api import Request, Response
from kafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Int64, Schema, String

from cluster import expect, kcat, main, until

PATIENCE = 30
PARTITIONS = 6
INVALID_CONFIG, INVALID_REQUEST, INVALID_PARTITIONS = 40, 42, 37


# ---- Requests that kafka-python does not have ----

def api(key, request, response):
    """Version 0 of an API, as classes of kafka-python."""
    answer = type("Answer", (Response,), {"API_KEY": key, "API_VERSION": 0, "SCHEMA": response})
    return type("Question", (Request,), {"API_KEY": key, "API_VERSION": 0, "SCHEMA": request,
                                         "RESPONSE_TYPE": answer})


class Float64(AbstractType):
    @classmethod
    def encode(cls, value):
        return struct.pack(">d", value)

    @classmethod
    def decode(cls, data):
        return struct.unpack(">d", data.read(8))[0]


STRING = String("utf-8")
ENTITY = ("entity", Array(("type", STRING), ("name", STRING)))

IncrementalAlterConfigs = api(
    44,
    Schema(("resources", Array(("type", Int8), ("name", STRING),
                               ("configs", Array(("name", STRING), ("operation", Int8),
                                                 ("value", STRING))))),
           ("validate_only", Boolean)),
    Schema(("throttle_time_ms", Int32),
           ("results", Array(("error", Int16), ("message", STRING), ("type", Int8),
                             ("name", STRING)))))
DescribeLogDirs = api(
    35,
    Schema(("topics", Array(("topic", STRING), ("partitions", Array(Int32))))),
    Schema(("throttle_time_ms", Int32),
           ("dirs", Array(("error", Int16), ("dir", STRING),
                          ("topics", Array(("name", STRING),
                                           ("partitions", Array(("index", Int32), ("size", Int64),
                                                                ("lag", Int64),
                                                                ("future", Boolean)))))))))
ElectLeaders = api(
    43,
    Schema(("topics", Array(("topic", STRING), ("partitions", Array(Int32)))),
           ("timeout_ms", Int32)),
    Schema(("throttle_time_ms", Int32),
           ("topics", Array(("topic", STRING),
                            ("partitions", Array(("index", Int32), ("error", Int16),
                                                 ("message", STRING)))))))
AlterClientQuotas = api(
    49,
    Schema(("entries", Array(ENTITY, ("operations", Array(("key", STRING), ("value", Float64),
                                                          ("remove", Boolean))))),
           ("validate_only", Boolean)),
    Schema(("throttle_time_ms", Int32),
           ("entries", Array(("error", Int16), ("message", STRING), ENTITY))))
DescribeClientQuotas = api(
    48,
    Schema(("components", Array(("type", STRING), ("match_type", Int8), ("match", STRING))),
           ("strict", Boolean)),
    Schema(("throttle_time_ms", Int32), ("error", Int16), ("message", STRING),
           ("entries", Array(ENTITY, ("values", Array(("key", STRING), ("value", Float64)))))))


class Admin:
    """kafka-python's client of operators, at one node that is up."""

    def __init__(self, cluster):
        self.client = kafka.admin.KafkaAdminClient(
            bootstrap_servers=[node.address for node in cluster.nodes
                               if node.process.poll() is None])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def ask(self, request, node=None):
        if node is None:
            node = self.client._client.least_loaded_node()
        future = self.client._send_request_to_node(node, request)
        self.client._wait_for_futures([future])
        return future.value


def confluent(cluster):
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})


def topic_resource(name):
    return confluent_kafka.admin.ConfigResource("topic", name)


def configs_of(cluster, resource):
    admin = confluent(cluster)
    return admin.describe_configs([resource])[resource].result(PATIENCE)


# ---- Settings ----

def settings_with_confluent(cluster):
    admin = confluent(cluster)
    topic = confluent_kafka.admin.NewTopic(
        "settings", 2, 3, config={"retention.ms": "86400000", "compression.type": "producer"})
    admin.create_topics([topic])["settings"].result(PATIENCE)
    told = configs_of(cluster, topic_resource("settings"))
    expect(told["retention.ms"].value == "86400000", f"retention.ms: {told['retention.ms']}")
    expect(told["retention.ms"].source == confluent_kafka.admin.ConfigSource.
           DYNAMIC_TOPIC_CONFIG.value, "retention.ms was not set for the topic")
    expect(told["segment.ms"].is_default, "segment.ms is no default")
    expect(told["min.insync.replicas"].value == "2" and told["min.insync.replicas"].is_read_only,
           "min.insync.replicas is no majority")

    changed = topic_resource("settings")
    changed.set_config("cleanup.policy", "compact")
    changed.set_config("max.message.bytes", "2000")
    admin.alter_configs([changed])[changed].result(PATIENCE)
    told = configs_of(cluster, topic_resource("settings"))
    expect(told["cleanup.policy"].value == "compact", "the policy has not changed")
    expect(told["retention.ms"].is_default, "what AlterConfigs does not name stays")

    for name, value in (("no.such.setting", "1"), ("retention.ms", "soon"),
                        ("compression.type", "gzip")):
        wrong = topic_resource("settings")
        wrong.set_config(name, value)
        try:
            admin.alter_configs([wrong])[wrong].result(PATIENCE)
            expect(False, f"{name}={value} was taken")
        except confluent_kafka.KafkaException as error:
            expect(error.args[0].code() == INVALID_CONFIG and name in error.args[0].str(),
                   f"{name}={value} is refused with {error}")

    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})

    def is_refused():  # Whoever leads may hear of a change a little later.
        errors = []
        producer.produce("settings", b"x" * 5000, key=b"k",
                         on_delivery=lambda error, _: errors.append(error))
        producer.flush(PATIENCE)
        (error,) = errors
        return error and error.code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    until("batches larger than max.message.bytes are refused", is_refused)

    node = cluster.nodes[1]
    told = configs_of(cluster, confluent_kafka.admin.ConfigResource("broker", str(node.number)))
    expect(told["node.id"].value == "2" and told["broker.id"].value == "2", "another node answers")
    expect(told["advertised.listeners"].value == f"PLAINTEXT://{node.address}",
           f"advertised.listeners: {told['advertised.listeners'].value}")


def settings_with_kafka_python(cluster):
    kind = kafka.admin.ConfigResourceType
    with Admin(cluster) as admin:
        def value(name, config):
            resource = kafka.admin.ConfigResource(kind.TOPIC, name)
            (answer,) = admin.client.describe_configs([resource])
            (told,) = answer.resources
            expect(told[0] == 0, f"describe_configs: {told}")
            return next(entry[1] for entry in told[4] if entry[0] == config)

        admin.client.alter_configs([kafka.admin.ConfigResource(
            kind.TOPIC, "settings", configs={"segment.bytes": "1000000"})])
        expect(value("settings", "segment.bytes") == "1000000", "segment.bytes has not changed")
        expect(value("settings", "cleanup.policy") == "delete", "the policy was not unset")

        def change(config, operation, text, validate_only=False):
            answer = admin.ask(IncrementalAlterConfigs(
                [(2, "settings", [(config, operation, text)])], validate_only))
            return answer.results[0][0]

        expect(change("segment.ms", 0, "700000", True) == 0, "validate_only is refused")
        expect(value("settings", "segment.ms") != "700000", "validate_only changes something")
        expect(change("segment.ms", 0, "700000") == 0, "segment.ms cannot be changed alone")
        expect(change("cleanup.policy", 2, "compact") == 0, "nothing can be added to the policy")
        expect(value("settings", "cleanup.policy") == "compact,delete", "nothing was added")
        expect(value("settings", "segment.bytes") == "1000000", "what was not named has changed")
        expect(change("segment.ms", 1, None) == 0, "segment.ms cannot be unset")
        expect(change("no.such.setting", 0, "1") == INVALID_CONFIG, "any name is taken")

        # What a node logs, by that node.
        number = cluster.nodes[2].number
        answer = admin.ask(IncrementalAlterConfigs(
            [(4, str(number), [("node.log_level", 0, "warning")])], False), number)
        expect(answer.results[0][0] == 0, f"the log level: {answer}")
        answer = admin.ask(IncrementalAlterConfigs(
            [(4, str(number), [("num.partitions", 0, "7")])], False), number)
        expect(answer.results[0][0] == INVALID_REQUEST, f"num.partitions: {answer}")
        told = configs_of(cluster, confluent_kafka.admin.ConfigResource("broker", str(number)))
        expect(told["node.log_level"].value == "warning", "the log level has not changed")


# ---- Partitions and leaders ----

def partitions_and_leaders(cluster):
    admin = confluent(cluster)
    admin.create_topics([confluent_kafka.admin.NewTopic("moved", 3, 3)])["moved"].result(PATIENCE)
    more = confluent_kafka.admin.NewPartitions("moved", PARTITIONS - 1)
    admin.create_partitions([more])["moved"].result(PATIENCE)
    with Admin(cluster) as python:
        python.client.create_partitions({"moved": kafka.admin.NewPartitions(PARTITIONS)})
        expect(python.client.describe_cluster()["cluster_id"] == "e2e", "another cluster answers")
        try:
            python.client.create_partitions({"moved": kafka.admin.NewPartitions(2)})
            expect(False, "partitions can be taken away")
        except kafka.errors.InvalidPartitionsError:
            pass
    until("all partitions have a leader", lambda: all(cluster.leaders("moved").values()))
    expect(len(cluster.leaders("moved")) == PARTITIONS, "not all partitions are there")
    produce(cluster, 0, 600)

    # One is killed; its partitions are led by others, and settings change all the same.
    killed = cluster.nodes[0]
    led = [p for p, leader in cluster.leaders("moved").items() if leader == killed.number]
    expect(led, "the first node leads nothing")
    cluster.kill(killed)
    up = ",".join(node.address for node in cluster.nodes[1:])
    until("others lead", lambda: all(
        p["leader"] > 0 and p["leader"] != killed.number
        for p in json.loads(kcat("-b", up, "-L", "-J", "-t", "moved"))["topics"][0]["partitions"]))
    with Admin(cluster) as python:
        answer = python.ask(IncrementalAlterConfigs(
            [(2, "moved", [("retention.ms", 0, "90000000")])], False))
        expect(answer.results[0][0] == 0, f"settings cannot change with a node down: {answer}")
    produce(cluster, 600, 600)

    # It comes back, knows what has changed, and leads again when it is told to.
    cluster.start(killed)
    cluster.wait_until_formed()
    with Admin(cluster) as python:
        def elected():
            answer = python.ask(ElectLeaders(None, 10000))
            failed = [p for _, partitions in answer.topics for p in partitions if p[1] != 0]
            first = first_replicas(cluster)
            return not failed and cluster.leaders("moved") == first
        until("the first replicas lead", elected)
        until("all that was produced is on all disks", lambda: all(
            sizes(python, node) == PARTITIONS for node in cluster.nodes))
    told = configs_of(cluster, topic_resource("moved"))
    expect(told["retention.ms"].value == "90000000", "the change has been lost")
    produce(cluster, 1200, 100)
    expect(sum(cluster.watermarks("moved").values()) == 1300, "records were lost on the way")


def first_replicas(cluster):
    known = json.loads(kcat("-b", cluster.bootstrap, "-L", "-J", "-t", "moved"))
    return {p["partition"]: p["replicas"][0]["id"] for p in known["topics"][0]["partitions"]}


def sizes(python, node):
    """How many partitions of the topic the node has some bytes of."""
    answer = python.ask(DescribeLogDirs(None), node.number)
    (directory,) = answer.dirs
    expect(directory[1] == node.directory, f"node {node.number} has its logs in {directory[1]}")
    return sum(1 for topic, partitions in directory[2] if topic == "moved"
               for _, size, _, _ in partitions if size > 0)


def produce(cluster, first, count):
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all",
                                         "enable.idempotence": True})
    errors = []
    for i in range(first, first + count):
        producer.produce("moved", str(i), partition=i % PARTITIONS,
                         on_delivery=lambda error, _: errors.append(error) if error else None)
    expect(producer.flush(PATIENCE) == 0 and not errors, f"not all produced: {errors[:3]}")


# ---- Quotas ----

def quotas(cluster):
    rate, count, size = 200_000, 100, 10_000
    creator = confluent(cluster)
    creator.create_topics([confluent_kafka.admin.NewTopic("slow", 1, 3)])["slow"].result(PATIENCE)

    def seconds_to_produce(client):
        throttled = []
        producer = confluent_kafka.Producer({
            "bootstrap.servers": cluster.bootstrap, "client.id": client, "acks": "all",
            "throttle_cb": throttled.append, "batch.size": 5 * size, "linger.ms": 5})
        began = time.monotonic()
        for _ in range(count):
            producer.produce("slow", b"x" * size)
        expect(producer.flush(60) == 0, f"{client} cannot produce")
        return time.monotonic() - began, len(throttled)

    def seconds_to_consume(client):
        throttled = []
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": cluster.bootstrap, "client.id": client, "group.id": client,
            "auto.offset.reset": "earliest", "throttle_cb": throttled.append})
        consumer.assign([confluent_kafka.TopicPartition("slow", 0, 0)])
        began, seen = time.monotonic(), 0
        while seen < count:
            message = consumer.poll(PATIENCE)
            expect(message is not None and not message.error(), f"{client} reads {message}")
            seen += 1
        taken = time.monotonic() - began
        consumer.close()
        return taken, len(throttled)

    with Admin(cluster) as admin:
        def change(client, *operations):
            answer = admin.ask(AlterClientQuotas(
                [([("client-id", client)], list(operations))], False))
            return answer.entries[0][0]

        expect(change("slow", ("producer_byte_rate", rate, False),
                      ("consumer_byte_rate", rate, False)) == 0, "no quota can be set")
        expect(change("slow", ("request_percentage", 50, False)) == INVALID_REQUEST,
               "a quota is taken that there is not")
        answer = admin.ask(DescribeClientQuotas([("client-id", 0, "slow")], True))
        expect(answer.entries == [([("client-id", "slow")],
                                   [("producer_byte_rate", float(rate)),
                                    ("consumer_byte_rate", float(rate))])],
               f"the quotas are {answer.entries}")
        for node in cluster.nodes:
            until("all nodes know of the quota", lambda number=node.number: admin.ask(
                DescribeClientQuotas([("client-id", 0, "slow")], True), number).entries)
        least = count * size / rate - 2  # A second is saved up, and the last one need not wait.
        for what in (seconds_to_produce, seconds_to_consume):
            taken, throttled = what("slow")
            print(f"{what.__name__}: {taken:.1f} s at {rate} B/s, {throttled} answers throttled")
            expect(taken >= least, f"{what.__name__} took only {taken:.1f} s")
            expect(throttled > 0, f"{what.__name__}: nobody was told to be slower")
            taken, throttled = what("free")
            expect(throttled == 0 and taken < least, f"others are slowed down: {taken:.1f} s")
        expect(change("slow", ("producer_byte_rate", 0, True),
                      ("consumer_byte_rate", 0, True)) == 0, "no quota can be removed")
        for node in cluster.nodes:
            until("no quota is left", lambda number=node.number: not admin.ask(
                DescribeClientQuotas([], False), number).entries)
        expect(seconds_to_produce("slow")[1] == 0, "a quota counts that was removed")


def body(cluster):
    settings_with_confluent(cluster)
    settings_with_kafka_python(cluster)
    partitions_and_leaders(cluster)
    quotas(cluster)
    cluster.expect_alive()
    cluster.stop_all()


if __name__ == "__main__":
    main(200, body)
