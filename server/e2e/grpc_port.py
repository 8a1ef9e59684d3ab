#!/usr/bin/python3
"""PyralogService with Python's gRPC, beside kcat: what the one writes the other reads; errors say
what is wrong and who leads; leaders are killed under a writer and a follower, and nothing that was
acknowledged is missing, or out of order; a node stops while somebody follows."""

import json
import os
import subprocess
import sys
import threading
import time

import grpc

from cluster import Failure, expect, free_ports, kcat, main, until

PATIENCE = 60
CALLS_MAX = 20
SERVICE = "/pyralog.v1.PyralogService/"


def messages(room):
    """The module that protoc makes of the service's description."""
    source = os.path.join(os.path.dirname(__file__), "..", "grpc")
    subprocess.run(["protoc", f"--proto_path={source}", f"--python_out={room}", "pyralog.proto"],
                   check=True)
    sys.path.insert(0, room)
    import pyralog_pb2  # pylint: disable=import-outside-toplevel,import-error
    return pyralog_pb2


class Client:
    def __init__(self, pb, address):
        self.pb = pb
        # Each has a connection of its own.
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.produce = self.channel.unary_unary(
            SERVICE + "Produce", pb.ProduceRequest.SerializeToString,
            pb.ProduceResponse.FromString)
        self.consume = self.channel.unary_stream(
            SERVICE + "Consume", pb.ConsumeRequest.SerializeToString,
            pb.ConsumeResponse.FromString)
        self.metadata = self.channel.unary_unary(
            SERVICE + "GetMetadata", pb.GetMetadataRequest.SerializeToString,
            pb.GetMetadataResponse.FromString)

    def close(self):
        self.channel.close()


class Clients:
    """One for each node, and who leads a partition."""

    def __init__(self, pb, cluster):
        self.pb = pb
        self.addresses = [node.grpc for node in cluster.nodes]
        self.clients = {address: Client(pb, address) for address in self.addresses}

    def leader_of(self, topic, partition=0):
        def find():
            for client in self.clients.values():
                try:
                    told = client.metadata(self.pb.GetMetadataRequest(topic=topic), timeout=5)
                except grpc.RpcError:
                    continue
                address = told.partitions[partition].leader_address
                if address in self.clients:
                    return address
            return None
        return until(f"{topic}/{partition} has a leader", find, PATIENCE)

    def close(self):
        for client in self.clients.values():
            client.close()


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise Failure("a call was not refused")


def check_both_ways(pb, clients, cluster):
    kcat("-b", cluster.bootstrap, "-P", "-t", "both", "-p", 0, "-H", "from=kcat", "-K", ":",
         "-z", "snappy", stdin="".join(f"key{i}:kcat {i}\n" for i in range(100)))
    leader = clients.clients[clients.leader_of("both")]
    for i in range(100):
        told = leader.produce(pb.ProduceRequest(topic="both", records=[
            pb.Record(key=b"key%d" % i, value=b"grpc %d" % i,
                      headers=[pb.Header(key="from", value=b"grpc")])]), timeout=PATIENCE)
        expect(told.offset == 100 + i, f"record {i} got offset {told.offset}")
    seen = [record for answer in leader.consume(pb.ConsumeRequest(topic="both"), timeout=PATIENCE)
            for record in answer.records]
    expect([r.offset for r in seen] == list(range(200)), "gRPC does not see every offset once")
    expect([r.value for r in seen] == [b"kcat %d" % i for i in range(100)] +
           [b"grpc %d" % i for i in range(100)], "gRPC does not see what was written")
    expect(all(r.headers[0].key == "from" for r in seen), "headers are missing")
    text = kcat("-b", cluster.bootstrap, "-C", "-t", "both", "-p", 0, "-o", 100, "-e", "-J")
    lines = [json.loads(line) for line in text.splitlines()]
    expect([(r["key"], r["payload"], r["headers"]) for r in lines] ==
           [(f"key{i}", f"grpc {i}", ["from", "grpc"]) for i in range(100)],
           "kcat does not see what gRPC has written")
    rest = [r.offset for answer in leader.consume(
        pb.ConsumeRequest(topic="both", offset=150), timeout=PATIENCE) for r in answer.records]
    expect(rest == list(range(150, 200)), f"from 150 on it is {rest}")


def check_errors(pb, clients):
    address = clients.leader_of("both")
    leader = clients.clients[address]
    other = next(c for a, c in clients.clients.items() if a != address)

    error = refused(lambda: list(leader.consume(pb.ConsumeRequest(topic="both", offset=999))))
    expect(error.code() == grpc.StatusCode.OUT_OF_RANGE and
           error.details() == "invalid offset: 999", f"beyond the end: {error.details()}")
    error = refused(lambda: list(leader.consume(pb.ConsumeRequest(topic="none"))))
    expect(error.code() == grpc.StatusCode.NOT_FOUND and
           error.details() == "partition not found: none/0", f"no topic: {error.details()}")
    record = pb.Record(value=b"x")
    error = refused(lambda: other.produce(pb.ProduceRequest(topic="both", records=[record])))
    expect(error.code() == grpc.StatusCode.FAILED_PRECONDITION and
           error.details() == f"not the leader, redirect to {address}",
           f"elsewhere: {error.details()}")
    expect(("pyralog-leader", address) in [tuple(m) for m in error.trailing_metadata()],
           "the leader is not in the metadata")
    error = refused(lambda: leader.produce(pb.ProduceRequest(topic="both")))
    expect(error.code() == grpc.StatusCode.INVALID_ARGUMENT, f"no records: {error.details()}")
    error = refused(lambda: leader.produce(
        pb.ProduceRequest(topic="both", epoch=0, records=[record])))
    expect(error.code() == grpc.StatusCode.ABORTED and error.details() == "epoch sealed: 0",
           f"an old epoch: {error.details()}")


def check_limit(pb, clients):
    """Who comes when there are as many calls as may be is told so, and the others are served."""
    address = clients.leader_of("both")
    extra = [Client(pb, address) for _ in range(2)]
    follow = pb.ConsumeRequest(topic="both", follow=True)
    streams = [extra[0].consume(follow) for _ in range(CALLS_MAX)]
    for stream in streams:
        expect(next(stream).records[0].offset == 0, "a follower does not begin at 0")
    error = refused(lambda: next(extra[1].consume(follow)))
    expect(error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, f"too many: {error.details()}")
    for stream in streams:
        stream.cancel()

    def is_free():
        try:
            return next(extra[1].consume(follow)).records
        except grpc.RpcError:
            return None
    until("calls that were given up are forgotten", is_free, PATIENCE)
    for client in extra:
        client.close()


class Follower(threading.Thread):
    """Reads on, whoever leads, until it has seen so many values."""

    def __init__(self, pb, clients, topic, count):
        super().__init__(daemon=True)
        self.pb, self.clients, self.topic, self.count = pb, clients, topic, count
        self.values, self.next = [], 0

    def run(self):
        while len(set(self.values)) < self.count:
            client = self.clients.clients[self.clients.leader_of(self.topic)]
            try:
                for answer in client.consume(self.pb.ConsumeRequest(
                        topic=self.topic, offset=self.next, follow=True), timeout=PATIENCE):
                    expect(all(r.offset >= self.next for r in answer.records), "it went back")
                    self.values += [r.value for r in answer.records]
                    self.next = answer.next_offset
                    if len(set(self.values)) >= self.count:
                        return
            except grpc.RpcError:
                time.sleep(0.1)


def check_leader_kills(pb, clients, cluster):
    """A record that may be stored or not is written again, so there may be more than one of it."""
    topic, count = "killed", 3000
    kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-p", 0, stdin="0\n")
    follower = Follower(pb, clients, topic, count)
    follower.start()
    kills = 0
    address = clients.leader_of(topic)
    for i in range(1, count):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                clients.clients[address].produce(pb.ProduceRequest(topic=topic, records=[
                    pb.Record(value=b"%d" % i)]), timeout=5)
                break
            except grpc.RpcError as error:
                expect(time.monotonic() < end, f"record {i} cannot be written: {error.details()}")
                time.sleep(0.05)
                address = clients.leader_of(topic)
        if i % 1000 == 500:
            node = next(n for n in cluster.nodes if n.grpc == address)
            cluster.kill(node)
            kills += 1
            cluster.start(node)
    follower.join(PATIENCE)
    expect(not follower.is_alive(), f"the follower has only {len(set(follower.values))} records")
    first = list(dict.fromkeys(follower.values))
    expect(first == [b"%d" % i for i in range(count)], "records are missing, or not in order")
    print(f"{count} records, {kills} leaders killed, "
          f"{len(follower.values) - count} written twice")


def check_stop(pb, clients, cluster):
    address = clients.leader_of("both")
    node = next(n for n in cluster.nodes if n.grpc == address)
    stream = clients.clients[address].consume(pb.ConsumeRequest(topic="both", follow=True))
    next(stream)
    node.process.terminate()
    error = refused(lambda: list(stream))
    expect(error.code() == grpc.StatusCode.UNAVAILABLE, f"at the end: {error.code()}")
    expect(node.process.wait(30) == 0, "the node does not end well with a call under way")
    cluster.start(node)
    cluster.wait_until_formed()


def body(cluster):
    pb = messages(cluster.room)
    clients = Clients(pb, cluster)
    check_both_ways(pb, clients, cluster)
    check_errors(pb, clients)
    check_limit(pb, clients)
    check_leader_kills(pb, clients, cluster)
    check_stop(pb, clients, cluster)
    clients.close()
    cluster.stop_all()


def prepare(cluster):
    for node, port in zip(cluster.nodes, free_ports(len(cluster.nodes))):
        node.grpc = f"127.0.0.1:{port}"
        node.settings = [f"grpc.listen={node.grpc}", f"grpc.calls_max={CALLS_MAX}"]


if __name__ == "__main__":
    main(240, body, prepare=prepare)
