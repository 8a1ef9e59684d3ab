#!/usr/bin/python3
"""kcat against three nodes: who is there, every codec, keys and headers, offsets by time, and a
second start that finds everything again."""

import json
import time

from cluster import expect, kcat, main, until

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
LINES = 2000


def consume(cluster, topic, template="%s\n", start="beginning"):
    return kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", start, "-e", "-f", template)


def brokers_of(node):
    known = json.loads(kcat("-b", node.address, "-L", "-J"))
    return {broker["id"]: broker["name"] for broker in known["brokers"]}


def sees_all_brokers(cluster):
    # A node may apply the registration of another a moment after its own.
    expected = {n.number: n.address for n in cluster.nodes}
    for node in cluster.nodes:
        until(f"node {node.number} knows of {expected}", lambda n=node: brokers_of(n) == expected)


def codec_text(codec):
    return [f"{i} {codec}: the quick brown fox jumps over the lazy dog" for i in range(LINES)]


def produces_and_consumes_with(cluster, codec):
    topic = f"codec-{codec}"
    lines = codec_text(codec)
    compression = [] if codec == "none" else ["-z", codec]
    kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all", *compression, "-K", "|",
         "-H", "codec=" + codec, "-H", "empty=", stdin="".join(f"k{i}|{line}\n"
                                                             for i, line in enumerate(lines)))
    check_codec(cluster, codec)


def check_codec(cluster, codec):
    lines = codec_text(codec)
    got = consume(cluster, f"codec-{codec}", "%o|%k|%h|%s\n").splitlines()
    wanted = [f"{i}|k{i}|codec={codec},empty=|{line}" for i, line in enumerate(lines)]
    wrong = next(((g, w) for g, w in zip(got, wanted) if g != w), None)
    expect(wrong is None, f"{codec}: got {wrong[0] if wrong else ''}, not {wrong[1] if wrong else ''}")
    expect(len(got) == len(wanted), f"{codec}: {len(got)} lines, not {len(wanted)}")


def finds_offsets_by_time(cluster):
    topic = "times"
    middle = []
    for i in range(3):
        kcat("-b", cluster.bootstrap, "-P", "-t", topic, stdin=f"{i}\n")
        time.sleep(0.02)
        middle.append(int(time.time() * 1000))
        time.sleep(0.02)
    for i, when in enumerate(middle[:2]):
        answer = kcat("-b", cluster.bootstrap, "-Q", "-t", f"{topic}:0:{when}").split()
        expect(answer[-1] == str(i + 1), f"the offset for time {when} is {answer}, not {i + 1}")
        got = consume(cluster, topic, start=f"s@{when}").split()
        wanted = [str(n) for n in range(i + 1, 3)]
        expect(got == wanted, f"from time {when} on there is {got}, not {wanted}")
    past_all = kcat("-b", cluster.bootstrap, "-Q", "-t", f"{topic}:0:{middle[2]}").split()
    expect(past_all[-1] in ("-1", "3"), f"beyond all times: {past_all}")
    for name, number in (("-2", "0"), ("-1", "3")):
        answer = kcat("-b", cluster.bootstrap, "-Q", "-t", f"{topic}:0:{name}").split()
        expect(answer[-1] == number, f"offset {name} is {answer}, not {number}")


def takes_other_acks(cluster):
    for acks in ("1", "0"):
        topic = f"acks-{acks}"
        # The topic comes first: with acks=0 nobody says that it is not there yet.
        kcat("-b", cluster.bootstrap, "-P", "-t", topic, stdin="first\n")
        kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", f"acks={acks}", stdin="second\n")
        deadline = time.monotonic() + 10
        while (got := consume(cluster, topic).split()) != ["first", "second"]:
            expect(time.monotonic() < deadline, f"acks={acks}: {got}")
            time.sleep(0.1)


def body(cluster):
    sees_all_brokers(cluster)
    for codec in CODECS:
        produces_and_consumes_with(cluster, codec)
    finds_offsets_by_time(cluster)
    takes_other_acks(cluster)
    cluster.stop_all()
    cluster.start_all()
    sees_all_brokers(cluster)
    for codec in CODECS:
        check_codec(cluster, codec)
    kcat("-b", cluster.bootstrap, "-P", "-t", "times", "-X", "acks=all", stdin="3\n")
    got = consume(cluster, "times", "%o=%s ").split()
    expect(got == ["0=0", "1=1", "2=2", "3=3"], f"after the second start: {got}")
    cluster.stop_all()


if __name__ == "__main__":
    main(240, body)
