#!/usr/bin/python3
"""Traces: a collector of our own is sent the spans of what real clients produce and fetch, as OTLP
over HTTP has them; and nobody waits for it when it is gone."""

import http.server
import json
import re
import secrets
import socket
import subprocess
import threading
import time

import confluent_kafka
import confluent_kafka.admin

from cluster import expect, free_ports, kcat, main, until

TOPIC = "traced"
STEPS = {"append", "wait for turn", "journal sync", "replicate"}


class Collector:
    """Takes whatever is sent, and looks at how it is written."""

    def __init__(self, port):
        self.port = port
        self.spans = []  # Each with the attributes of its resource as "resource".
        self.complaints = []
        self.server = None
        self.streams = []

    def start(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                collector.streams.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    expect(self.path == "/v1/traces", self.path)
                    expect(self.headers["Content-Type"] == "application/json", self.headers)
                    collector.spans.extend(spans_of(json.loads(body)))
                except Exception as flaw:  # Told at the end, by the script and not by a thread.
                    collector.complaints.append(repr(flaw))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for stream in self.streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It was closed before.
        self.streams.clear()

    def named(self, name):
        expect(not self.complaints, self.complaints)
        return [span for span in list(self.spans) if span["name"] == name]

    def steps_of(self, root):
        return [span for span in list(self.spans) if span.get("parentSpanId") == root["spanId"]]


def plain(attributes):
    """By key. Numbers of 64 bits are strings in this JSON."""
    told = {}
    for attribute in attributes:
        (kind, value), = attribute["value"].items()
        expect(kind in ("stringValue", "intValue") and isinstance(value, str), attribute)
        told[attribute["key"]] = int(value) if kind == "intValue" else value
    expect(len(told) == len(attributes), f"a key is there twice: {attributes}")
    return told


def is_id(text, size):
    return bool(re.fullmatch(f"[0-9a-f]{{{size}}}", text)) and set(text) != {"0"}


def spans_of(body):
    for of_resource in body["resourceSpans"]:
        resource = plain(of_resource["resource"]["attributes"])
        for of_scope in of_resource["scopeSpans"]:
            expect(of_scope["scope"]["name"] == "pyralog", of_scope["scope"])
            for span in of_scope["spans"]:
                expect(is_id(span["traceId"], 32) and is_id(span["spanId"], 16), span)
                expect("parentSpanId" not in span or is_id(span["parentSpanId"], 16), span)
                expect(span["kind"] == (1 if "parentSpanId" in span else 2), span)
                for key in ("startTimeUnixNano", "endTimeUnixNano"):
                    expect(isinstance(span[key], str), span)
                    span[key] = int(span[key])
                expect(span["startTimeUnixNano"] <= span["endTimeUnixNano"], span)
                expect(span["status"] in ({}, {"code": 2, "message": span["status"].get("message")}),
                       span)
                span["told"] = plain(span["attributes"])
                span["resource"] = resource
                yield span


def traceparent():
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return (trace, span), f"00-{trace}-{span}-01"


def produced(cluster, collector, leaders):
    """Every request has its span, which links to who sent it, and is told by who leads."""
    began = time.time_ns() // 1_000_000 * 1_000_000
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all",
                                         "client.id": "writer", "linger.ms": 0})
    sent = {}  # (trace, span): what was told of it.
    for number in range(30):
        context, header = traceparent()

        def told(error, message, context=context):
            expect(error is None, error)
            sent[context] = (message.partition(), message.offset())
        producer.produce(TOPIC, f"record {number}", partition=number % 3, on_delivery=told,
                         headers={"traceparent": header})
        producer.flush(20)  # A request for each, so that each is a first record.
    context, header = traceparent()
    kcat("-b", cluster.bootstrap, "-P", "-t", TOPIC, "-p", 1, "-X", "client.id=kitty", "-X",
         "compression.codec=none", "-H", f"traceparent={header}", stdin="by kcat\n")
    expect(len(sent) == 30, f"{len(sent)} of 30 records are told of")
    until("all requests have come", lambda: len(collector.named(f"produce {TOPIC}")) == 31)
    until("all of their steps have", lambda: all(
        {step["name"] for step in collector.steps_of(root)} == STEPS
        for root in collector.named(f"produce {TOPIC}")))
    ended = time.time_ns()
    roots = {}
    for root in collector.named(f"produce {TOPIC}"):
        told = root["told"]
        link, = root["links"]
        roots[link["traceId"], link["spanId"]] = root
        expect(told["messaging.system"] == "kafka" and told["messaging.destination.name"] == TOPIC
               and told["messaging.operation.name"] == "produce"
               and told["messaging.operation.type"] == "send"
               and told["messaging.batch.message_count"] == 1 and told["pyralog.acks"] == -1
               and "error.type" not in told and root["status"] == {}, root)
        expect(began <= root["startTimeUnixNano"] <= root["endTimeUnixNano"] <= ended, root)
        resource = root["resource"]
        leader = leaders[int(told["messaging.destination.partition.id"])]
        expect(resource == {"service.name": "pyralog", "service.namespace": "e2e",
                            "service.instance.id": str(leader)}, (resource, leader))
        steps = {step["name"]: step for step in collector.steps_of(root)}
        for step in steps.values():
            expect(step["traceId"] == root["traceId"] and step["resource"] == resource, step)
            expect(root["startTimeUnixNano"] <= step["startTimeUnixNano"]
                   <= root["endTimeUnixNano"], (root, step))
        for name in STEPS - {"wait for turn"}:
            expect(steps[name]["told"]["messaging.destination.partition.id"]
                   == told["messaging.destination.partition.id"], steps[name])
        # Nobody is on two disks before he is in the log.
        expect(steps["replicate"]["endTimeUnixNano"] > steps["append"]["endTimeUnixNano"], steps)
    expect(set(roots) == {*sent, context}, "the links are not those that were sent")
    for key, (partition, offset) in sent.items():
        told = roots[key]["told"]
        expect(told["messaging.destination.partition.id"] == str(partition)
               and told["messaging.kafka.offset"] == offset
               and told["messaging.client.id"] == "writer", (told, partition, offset))
    expect(roots[context]["told"]["messaging.client.id"] == "kitty", roots[context])


def fetched(cluster, collector):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "none", "client.id": "reader",
        "fetch.wait.max.ms": 300, "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, p, 0) for p in range(3)])
    until("all records are read", lambda: got_all(consumer) == 31)
    consumer.poll(2)  # Nothing more comes: fetches wait.
    consumer.close()

    def of_reader():
        return [span for span in collector.named(f"fetch {TOPIC}") + collector.named("fetch")
                if span["told"].get("messaging.client.id") == "reader"]
    until("fetches that waited and others", lambda: {"read", "wait for records"} <= {
        step["name"] for root in of_reader() for step in collector.steps_of(root)})
    waits = []
    for root in of_reader():
        told = root["told"]
        expect(told["messaging.operation.type"] == "receive" and told["pyralog.bytes"] >= 0, root)
        for step in collector.steps_of(root):
            expect(root["startTimeUnixNano"] <= step["startTimeUnixNano"]
                   and step["endTimeUnixNano"] <= root["endTimeUnixNano"], (root, step))
            if step["name"] == "wait for records":
                waits.append(step["endTimeUnixNano"] - step["startTimeUnixNano"])
    expect(max(waits) > 200_000_000, f"nobody has waited: {max(waits)} ns")
    got = sum(root["told"]["pyralog.bytes"] for root in of_reader())
    expect(got > 31 * 61, f"only {got} bytes were told of")


READ = []


def got_all(consumer):
    message = consumer.poll(0.2)
    if message is not None and not message.error():
        READ.append(message.value())
    return len(READ)


def counted(cluster, what):
    total = 0
    for node in cluster.nodes:
        done = subprocess.run([cluster.pyralog, "metrics", "--data-dir", node.directory], text=True,
                              capture_output=True, timeout=60, check=False)
        found = re.search(rf"^pyralog_trace_spans_{what}_total (\d+)$", done.stdout, re.MULTILINE)
        expect(found, f"no metric of spans {what}: {done.stdout[-500:]}{done.stderr}")
        total += int(found.group(1))
    return total


def collector_is_gone(cluster, collector):
    seen = len(collector.spans)
    until("exported spans are counted", lambda: counted(cluster, "exported") >= seen)
    expect(counted(cluster, "failed") == 0, "spans have failed")
    collector.stop()
    before = len(collector.spans)
    for _ in range(5):
        kcat("-b", cluster.bootstrap, "-P", "-t", TOPIC, stdin="".join(f"{i}\n" for i in range(50)))
    until("it is noticed that nobody is there", lambda: counted(cluster, "failed") > 0, 60)
    collector.start()
    until("spans come again", lambda: len(collector.spans) > before, 60)
    kcat("-b", cluster.bootstrap, "-P", "-t", TOPIC, stdin="at last\n")
    cluster.expect_alive()


def refused(cluster):
    done = subprocess.run([cluster.pyralog, "config", "--set", "otlp.endpoint=https://here:4318"],
                          text=True, capture_output=True, timeout=60, check=False)
    expect(done.returncode == 2 and "must look like http://" in done.stdout + done.stderr,
           f"https is taken: {done.stdout[-300:]}{done.stderr}")


PORT, = free_ports(1)
COLLECTOR = Collector(PORT)


def body(cluster):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})
    for made in admin.create_topics([confluent_kafka.admin.NewTopic(TOPIC, 3, 3)]).values():
        made.result(20)
    leaders = until("all partitions have leaders", lambda: (
        lambda found: len(found) == 3 and all(found.values()) and found)(cluster.leaders(TOPIC)))
    produced(cluster, COLLECTOR, leaders)
    fetched(cluster, COLLECTOR)
    collector_is_gone(cluster, COLLECTOR)
    refused(cluster)
    cluster.stop_all()
    print(f"{len(COLLECTOR.spans)} spans, each as it should be")


if __name__ == "__main__":
    main(200, body, settings=(f"otlp.endpoint=http://127.0.0.1:{PORT}", "otlp.sample=1"),
         prepare=lambda _cluster: COLLECTOR.start())
