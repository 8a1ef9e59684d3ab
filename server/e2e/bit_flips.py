#!/usr/bin/python3
"""Bits that flip on the disk of one of three nodes, at random places of its journal and of its
segments: the node notices, gets from the others what it has lost, and all three are the same to the
byte again. BIT_FLIPS_SEED repeats a run."""

import glob
import json
import os
import random
import subprocess
import urllib.request

from cluster import expect, kcat, main, until

SEED = int(os.environ.get("BIT_FLIPS_SEED", random.SystemRandom().randrange(1 << 32)))
TOPIC = "bits"
PARTITIONS = 2
FLIPS = 12  # That harm something that is needed.
TRIES = 400


def lines(first, count, dice):
    return [f"{first + i} {dice.randbytes(300).hex()}" for i in range(count)]


def produce(cluster, some):
    kcat("-b", cluster.bootstrap, "-P", "-t", TOPIC, "-X", "acks=all", "-X", "linger.ms=1",
         "-X", "batch.num.messages=20", stdin="\n".join(some) + "\n")


def consume(cluster):
    return kcat("-b", cluster.bootstrap, "-C", "-t", TOPIC, "-o", "beginning", "-e").splitlines()


def verify(cluster, node):
    done = subprocess.run([cluster.pyralog, "log", "verify", "--json", node.directory], text=True,
                          capture_output=True, timeout=60, check=False)
    return json.loads(done.stdout)


def metric(node, name):
    try:
        url = f"http://127.0.0.1:{node.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=2) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return int(float(line.split()[1]))
    except OSError:
        pass
    return None


def log_of(node):
    with open(node.log, encoding="utf-8", errors="replace") as file:
        return file.read()


def stop(node):
    node.process.terminate()
    code = node.process.wait(30)
    expect(code == 0, f"node {node.number} ends with {code} after SIGTERM")


def flip(path, position, bit):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def damages(found):
    return {(f["file"], f["file_position"]) for f in found["findings"] if f["damage"]}


def flip_bits(cluster, node, dice):
    """Until enough of them have done harm. Which `pyralog log verify` says, file by file."""
    before = verify(cluster, node)
    expect(not before["damaged"], f"it is damaged already: {before['findings']}")
    # Each file as likely as another: else it would be the journal nearly always.
    used = {f["file"]: f["used"] for f in before["files"]
            if f["kind"] in ("journal", "segment") and f["used"] > 0}
    known, harmed, harmless, undone = set(), [], 0, 0
    for _ in range(TRIES):
        if len(harmed) == FLIPS:
            break
        name = dice.choice(sorted(used))
        position, bit = dice.randrange(used[name]), dice.randrange(8)
        path = os.path.join(node.directory, name)
        flip(path, position, bit)
        found = verify(cluster, node)
        if found["refused"]:
            flip(path, position, bit)
            undone += 1
        elif damages(found) - known:
            new = damages(found) - known
            named = [f for f in found["findings"]
                     if f["file"] == name and f["file_position"] <= position]
            expect(named, f"bit {bit} of {name}:{position} is flipped, and verify names {new}")
            known |= new
            harmed.append((name, position, bit))
        else:
            harmless += 1
    expect(len(harmed) == FLIPS, f"only {len(harmed)} flips of {TRIES} did harm")
    for name, position, bit in harmed:
        print(f"node {node.number}: bit {bit} of {name}:{position}", flush=True)
    print(f"and {harmless} that harm nothing that is needed; {undone} taken back, with which a node "
          "does not start", flush=True)
    return harmed


def gets_it_back(cluster, node, harmed):
    mark = len(log_of(node))
    cluster.start(node)
    cluster.wait_until_formed()
    # What is in the journal it finds at its start, the rest when it next looks at all segments.
    until("the node has mended what was harmed",
          lambda: (metric(node, "pyralog_log_mended_total") or 0) > 0)
    looks = metric(node, "pyralog_scrubs_total")
    until("it has looked at all segments, twice",
          lambda: (metric(node, "pyralog_scrubs_total") or 0) >= looks + 2)
    until("nothing waits to be mended",
          lambda: (metric(node, "pyralog_log_damaged_entries") or 0) == 0)
    said = log_of(node)[mark:]
    expect("a damaged entry is mended" in said, "the log does not say that anything was mended")
    if any(name.startswith("journal/") for name, _, _ in harmed):
        expect("a payload in the journal is damaged" in said, "the log does not tell of damage")
    print(f"node {node.number}: {metric(node, 'pyralog_log_mended_total')} damages mended",
          flush=True)


def are_the_same(cluster, count):
    cluster.stop_all()
    digests = cluster.digests()
    for log in digests:
        expect(len(log["replicas"]) == 3, f"a replica is missing: {log}")
        expect(not log["differs"], f"replicas differ: {log}")
        ends = {replica["end"]["index"] for replica in log["replicas"]}
        expect(ends == {log["same"]["index"]}, f"not all of it is the same: {log}")
    total = sum(log["same"]["offset"] for log in digests if log["group"] != 0)
    expect(total == count, f"{total} records on the disks, {count} were acknowledged")
    for node in cluster.nodes:
        found = verify(cluster, node)
        expect(not found["damaged"], f"node {node.number}: {found['findings']}")


def body(cluster):
    print(f"BIT_FLIPS_SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    kcat("-b", cluster.bootstrap, "-L", "-t", TOPIC)  # Which creates it.
    until("every partition has a leader",
          lambda: len(cluster.leaders(TOPIC)) == PARTITIONS
          and all(cluster.leaders(TOPIC).values()))
    sent = lines(0, 2000, dice)
    produce(cluster, sent)
    for _ in range(2):
        node = dice.choice(cluster.nodes)
        until("all nodes have everything", lambda: len(consume(cluster)) == len(sent))
        stop(node)
        harmed = flip_bits(cluster, node, dice)
        more = lines(len(sent), 200, dice)
        sent += more
        produce(cluster, more)
        gets_it_back(cluster, node, harmed)
        expect(sorted(consume(cluster)) == sorted(sent), "consumers see something else")
    are_the_same(cluster, len(sent))


if __name__ == "__main__":
    main(120, body, settings=[f"topic.partitions={PARTITIONS}", "log.segment_bytes=128KiB",
                              "log.segment_flush_bytes=32KiB", "journal.file_bytes=256KiB",
                              "log.scrub_interval=1s"])
