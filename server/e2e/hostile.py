#!/usr/bin/python3
"""A node among the worst of clients: lengths that lie, requests cut short, batches that are not what
they say, and connections that are opened and left. Each gets its Kafka error or a closed
connection; the node stays up, takes no memory for what is only claimed, and others are not harmed."""

import socket
import struct
import time

from cluster import expect, kcat, main, until

PATIENCE = 10
CORRUPT_MESSAGE = 2
UNSUPPORTED_VERSION = 35
PRODUCE, METADATA, API_VERSIONS = 0, 3, 18
MIB = 1 << 20


def connect(node):
    return socket.create_connection(("127.0.0.1", node.kafka_port), timeout=PATIENCE)


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def request(api, version, body, correlation=7):
    header = struct.pack(">hhi", api, version, correlation) + text("hostile")
    return struct.pack(">i", len(header + body)) + header + body


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def read_answer(connection, correlation=7):
    """What follows the correlation number; None if the connection was closed."""
    try:
        size = read_exactly(connection, 4)
        if size is None:
            return None
        answer = read_exactly(connection, struct.unpack(">i", size)[0])
    except ConnectionResetError:
        return None
    expect(answer is not None and struct.unpack(">i", answer[:4])[0] == correlation,
           f"an answer to another question: {answer!r}")
    return answer[4:]


def expect_closed(connection, why):
    try:
        while True:
            data = connection.recv(4096)
            if not data:
                return
    except ConnectionResetError:
        return
    except socket.timeout:
        expect(False, f"{why}: the connection stays open")


def send_bytes(node, data, why):
    with connect(node) as connection:
        try:
            connection.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            return
        expect_closed(connection, why)


def lengths_that_lie(node):
    for claim, why in ((-1, "a length of -1"), (-(1 << 31), "the most negative length"),
                       ((1 << 31) - 1, "a claim of 2 GiB"), (0, "no length at all"),
                       (3, "too short for a header")):
        send_bytes(node, struct.pack(">i", claim) + b"\0" * 64, why)
    send_bytes(node, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP")
    send_bytes(node, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, "TLS")


def claims_take_no_memory(cluster, node):
    """Fifty clients say that each is going to send as much as is allowed, and send a little."""
    before = node.rss_bytes()
    claim = 100 * MIB - 1024
    connections = [connect(node) for _ in range(50)]
    for connection in connections:
        connection.sendall(struct.pack(">i", claim) + request(PRODUCE, 7, b"")[4:] + b"\0" * 4096)
    time.sleep(1)
    grown = node.rss_bytes() - before
    for connection in connections:
        connection.close()
    expect(grown < 64 * MIB, f"{50 * claim >> 20} MiB were claimed, and the node grew by "
                             f"{grown >> 20} MiB")
    cluster.expect_alive()


def versions_nobody_knows(node):
    for api, version in ((9999, 0), (-1, 0), (PRODUCE, 99), (PRODUCE, -1), (METADATA, 1000)):
        send_bytes(node, request(api, version, b"\0" * 32), f"api {api} version {version}")
    with connect(node) as connection:
        connection.sendall(request(API_VERSIONS, 99, b"\0" * 8))
        answer = read_answer(connection)
        expect(answer is not None and struct.unpack(">h", answer[:2])[0] == UNSUPPORTED_VERSION,
               f"ApiVersions v99 is answered with {answer!r}")
        # As in version 0: an error, and an array of triples.
        count = struct.unpack(">i", answer[2:6])[0]
        expect(len(answer) == 6 + 6 * count and count > 0, f"that is no version 0: {answer!r}")
        connection.sendall(request(API_VERSIONS, 0, b"", 8))
        answer = read_answer(connection, 8)
        expect(answer is not None and answer[:2] == b"\0\0", "the connection is of no more use")


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def batch(crc_change=0, count=1, attributes=0):
    """One record, `hello`, in a batch of version 2."""
    # Attributes, two deltas, no key, five bytes of value, no headers.
    content = b"\0\0\0\x01\x0ahello\0"
    record = bytes([2 * len(content)]) + content
    summed = struct.pack(">hiqqqhii", attributes, count - 1, 1000, 1000, -1, -1, -1, count) + record
    rest = struct.pack(">ibI", -1, 2, crc32c(summed) ^ crc_change) + summed
    return struct.pack(">qi", 0, len(rest)) + rest


def produce_body(topic, records, size=None, partition=0):
    """Produce, version 7."""
    return (struct.pack(">hhi", -1, -1, PATIENCE * 1000) + struct.pack(">i", 1) + text(topic)
            + struct.pack(">ii", 1, partition)
            + struct.pack(">i", len(records) if size is None else size) + records)


def produce_error(node, topic, records):
    with connect(node) as connection:
        connection.sendall(request(PRODUCE, 7, produce_body(topic, records)))
        answer = read_answer(connection)
    if answer is None:
        return None
    name = 4 + 2 + len(topic)  # An array of one, and its name.
    return struct.unpack(">h", answer[name + 8:name + 10])[0]


def bad_batches(node, topic):
    expect(produce_error(node, topic, batch()) == 0, "a good batch is refused")
    got = produce_error(node, topic, batch(crc_change=1))
    expect(got == CORRUPT_MESSAGE, f"a batch with a bad CRC: error {got}")
    whole = batch()
    got = produce_error(node, topic, whole[:-3])
    expect(got not in (None, 0), f"a batch cut short: error {got}")
    got = produce_error(node, topic, b"")
    expect(got != 0, f"no batch at all: error {got}")
    got = produce_error(node, topic, batch(count=1_000_000))
    expect(got not in (None, 0), f"a batch that claims a million records: error {got}")
    got = produce_error(node, topic, batch(attributes=7))
    expect(got not in (None, 0), f"a codec that there is not: error {got}")
    got = produce_error(node, topic, batch(attributes=1 << 5))
    expect(got not in (None, 0), f"a control batch from a client: error {got}")
    got = produce_error(node, topic, whole[:16] + b"\x01" + whole[17:])
    expect(got not in (None, 0), f"a batch of version 1: error {got}")


def requests_cut_short(node, topic):
    whole = request(PRODUCE, 7, produce_body(topic, batch()))[4:]
    # The length is that of what is sent; the content ends in the middle of something.
    for cut in range(8, len(whole), 7):
        with connect(node) as connection:
            connection.sendall(struct.pack(">i", cut) + whole[:cut])
            answer = read_answer(connection)
            expect(answer is None or answer != b"", f"cut at {cut}: an empty answer")
    # Arrays and strings that claim what is not there.
    for claim in (-2, 1 << 20, (1 << 31) - 1):
        send_bytes(node, request(METADATA, 1, struct.pack(">i", claim)), f"{claim} topics")
        send_bytes(node, request(PRODUCE, 7, produce_body(topic, b"", size=claim)),
                   f"{claim} bytes of records")
    # And some go away in the middle.
    for cut in range(1, len(whole), 13):
        with connect(node) as connection:
            connection.sendall((struct.pack(">i", len(whole)) + whole)[:cut])


def one_byte_at_a_time(node):
    with connect(node) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(API_VERSIONS, 0, b""):
            connection.sendall(bytes([byte]))
            time.sleep(0.002)
        answer = read_answer(connection)
        expect(answer is not None and answer[:2] == b"\0\0", "no answer to single bytes")


def read_nothing(node):
    """Asks and asks, and reads no answer: the node must stop listening, and not gather answers."""
    with connect(node) as connection:
        connection.settimeout(1)
        ask = request(METADATA, 1, struct.pack(">i", -1)) * 500
        try:
            for _ in range(200):
                connection.sendall(ask)
        except (socket.timeout, ConnectionResetError, BrokenPipeError):
            pass


def body(cluster):
    topic = "victim"
    lines = "".join(f"{i}\n" for i in range(1000))
    kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all", stdin=lines)
    node = cluster.node_of(until("somebody leads", lambda: cluster.leaders(topic).get(0)))
    before = node.rss_bytes()

    lengths_that_lie(node)
    versions_nobody_knows(node)
    one_byte_at_a_time(node)
    bad_batches(node, topic)
    requests_cut_short(node, topic)
    claims_take_no_memory(cluster, node)
    read_nothing(node)
    left = [connect(node) for _ in range(200)]
    for connection in left[::2]:
        connection.sendall(b"\0\0")

    cluster.expect_alive()
    kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all", stdin="after all\n")
    got = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e").splitlines()
    expect(got[:1000] == lines.splitlines() and got[-1] == "after all",
           f"another client's records are not what they were: {got[-3:]}")
    expect(set(got[1000:]) == {"hello", "after all"}, f"what is {set(got[1000:])}?")
    grown = node.rss_bytes() - before
    expect(grown < 96 * MIB, f"the node has grown by {grown >> 20} MiB")
    for connection in left:
        connection.close()
    cluster.expect_alive()
    cluster.stop_all()
    print(f"the node grew by {grown >> 20} MiB")


if __name__ == "__main__":
    main(180, body)
