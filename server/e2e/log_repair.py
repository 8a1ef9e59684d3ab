#!/usr/bin/python3
"""A lone node whose disk has lost something: it refuses to start and names `pyralog log repair`,
which says which offsets are lost, and changes nothing; with --force it does it, and the node starts
and serves exactly the rest."""

import hashlib
import json
import os
import subprocess

from cluster import expect, kcat, main, until

TOPIC = "lone"
LATE_TOPICS = 8  # Made before the newest file of the journal is lost, in which they stand.


def produce(cluster, first, count, topic=TOPIC):
    some = [f"{first + i} {'x' * 200}" for i in range(count)]
    kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all", "-X", "linger.ms=1",
         "-X", "batch.num.messages=10", stdin="\n".join(some) + "\n")
    return some


def consume(cluster, topic=TOPIC):
    return kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e").splitlines()


def contents(directory):
    found = {}
    for at, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def run(cluster, *arguments):
    return subprocess.run([cluster.pyralog, "log", *arguments], text=True, capture_output=True,
                          timeout=60, check=False)


def refuses(cluster, node):
    with open(node.log, encoding="utf-8") as file:
        mark = len(file.read())
    cluster.start(node)
    code = node.process.wait(30)
    expect(code == 1, f"a damaged node ends with {code}")
    with open(node.log, encoding="utf-8") as file:
        said = file.read()[mark:]
    expect("`pyralog log repair`" in said, f"it does not say what can be done: {said}")


def dry_run(cluster, node):
    before = contents(node.directory)
    done = run(cluster, "repair", "--json", node.directory)
    expect(done.returncode == 1, f"a dry run exits with {done.returncode}: {done.stderr}")
    told = run(cluster, "repair", node.directory)
    expect(told.returncode == 1 and "nothing is changed" in told.stdout, told.stdout + told.stderr)
    print(told.stdout, flush=True)
    expect(contents(node.directory) == before, "a dry run has changed something")
    found = json.loads(done.stdout)
    expect(found["needed"] and found["loses"] and not found["done"], found)
    return {p["partition"]: p for p in found["partitions"]}


def repair(cluster, node):
    before = contents(node.directory)
    done = run(cluster, "repair", "--force", node.directory)
    expect(done.returncode == 0, f"--force exits with {done.returncode}: {done.stderr}{done.stdout}")
    expect("it is repaired" in done.stdout and "set-aside/" in done.stdout, done.stdout)
    kept = set(contents(node.directory).values())
    missing = [path for path, content in before.items()
               if path.startswith(("journal/", "groups/")) and content not in kept]
    expect(not missing, f"these are deleted: {missing}")
    again = run(cluster, "repair", node.directory)
    expect(again.returncode == 0 and "nothing would be lost" in again.stdout, again.stdout)


def serves(cluster, node, wanted):
    """These, and what comes then: also of a new topic, and of a group."""
    cluster.start(node)
    cluster.wait_until_formed()
    seen = consume(cluster)
    expect(seen == wanted, f"{len(seen)} records are served, {len(wanted)} were to be kept")
    wanted = wanted + produce(cluster, 10_000 + len(wanted), 50)
    expect(consume(cluster) == wanted, "what is written after the repair is not served behind it")
    topic = f"new-{len(wanted)}"
    make_topic(cluster, topic)
    some = produce(cluster, 0, 20, topic)
    until("a new topic serves", lambda: consume(cluster, topic) == some)
    by_group = kcat("-b", cluster.bootstrap, "-G", "readers", "-e", "-X",
                    "auto.offset.reset=earliest", topic).splitlines()
    expect(by_group == some, f"a group reads {len(by_group)} records")
    return wanted


def make_topic(cluster, topic):
    done = subprocess.run([cluster.pyralog, "topic", "create", topic, "--bootstrap",
                           cluster.bootstrap], text=True, capture_output=True, timeout=60,
                          check=False)
    expect(done.returncode == 0, f"no topic can be made: {done.stderr}")


def lost_round(cluster, node, wanted):
    """A frame's header in the middle of the journal."""
    partition = f"{TOPIC}:0"
    frame = None
    while not frame:
        # A round in the journal alone, and others behind it: else it would be a torn one.
        cluster.start(node)
        cluster.wait_until_formed()
        for _ in range(5):
            wanted += produce(cluster, len(wanted), 10)
        cluster.kill(node)
        found = run(cluster, "repair", "--json", node.directory)
        expect(found.returncode == 0, "a good directory loses something")
        sound = {p["partition"]: p for p in json.loads(found.stdout)["partitions"]}[partition]
        frames = [f for f in frames_of(cluster, node, sound["group"])
                  if f["kind"] == "records" and f["file"].startswith("journal/")
                  and f["offset"] >= sound["segments_end_offset"]]
        frame = next((f for f in frames if f["round"] + 2 < frames[-1]["round"]), None)
    with open(os.path.join(node.directory, frame["file"]), "r+b") as file:
        file.seek(frame["file_position"] + 30)
        file.write(b"\xff\xff")
    refuses(cluster, node)
    told = dry_run(cluster, node)[partition]
    expect(told["end_offset"] == frame["offset"], f"{told} of {frame}")
    expect(told["lost"][0]["from"] == frame["offset"], told)
    expect(told["set_aside"] and told["set_aside"][-1]["to"] == len(wanted), told)
    expect(told["why"][0]["file"] == frame["file"], told)
    repair(cluster, node)
    return wanted[:told["end_offset"]]


def lost_segment(cluster, node, wanted):
    partition = f"{TOPIC}:0"
    found = json.loads(run(cluster, "repair", "--json", node.directory).stdout)
    group = {p["partition"]: p for p in found["partitions"]}[partition]["group"]
    directory = os.path.join(node.directory, "groups", str(group))
    segments = sorted(name for name in os.listdir(directory) if name.endswith(".seg"))
    expect(len(segments) >= 3, f"{segments} are too few")
    os.remove(os.path.join(directory, segments[1]))
    refuses(cluster, node)
    told = dry_run(cluster, node)[partition]
    expect(0 < told["end_offset"] < len(wanted), told)
    expect(told["lost"][0]["from"] == told["end_offset"], told)
    expect(told["set_aside"][-1]["to"] == len(wanted), told)
    repair(cluster, node)
    return wanted[:told["end_offset"]]


def lost_newest_file(cluster, node, wanted):
    directory = os.path.join(node.directory, "journal")
    newest = max(name for name in os.listdir(directory) if name.endswith(".log"))
    os.remove(os.path.join(directory, newest))
    refuses(cluster, node)
    told = dry_run(cluster, node)
    mine = told[f"{TOPIC}:0"]
    expect(mine["lost"] == [{"from": mine["end_offset"], "to": None}], mine)
    expect(mine["end_offset"] <= len(wanted), mine)
    # What was applied of it is not lost, but its log has become shorter than that.
    catalogue = told["the catalogue"]
    expect(catalogue["lost"] == [{"from": catalogue["end_offset"], "to": None}], catalogue)
    topics = {name.rpartition(":")[0] for name in told if name != "the catalogue"}
    expect(catalogue["end_offset"] < len(topics), f"its log has a command for each: {catalogue}")
    for i in range(LATE_TOPICS):
        expect(f"late-{i}:0" in told, f"the topic late-{i} is gone")
    node.repaired_end = catalogue["end_offset"]
    repair(cluster, node)
    return wanted[:mine["end_offset"]]


def frames_of(cluster, node, group):
    dump = run(cluster, "dump", "--json", "--group", str(group), node.directory).stdout
    return [json.loads(line) for line in dump.splitlines()]


def applies_from_the_end(cluster, node):
    """A node that believes to have applied more than there is proposes a command again and again,
    until the log is as long as it was."""
    commands = {f["offset"] for f in frames_of(cluster, node, 0)
                if f["kind"] == "records" and f["offset"] >= node.repaired_end}
    expect(0 < len(commands) < LATE_TOPICS / 2, f"one topic was made by the commands {commands}")


def has_peers(cluster, node):
    directory = os.path.join(cluster.room, "other")
    members = f"1=127.0.0.1:{node.peer_port},2=127.0.0.1:1"
    process = subprocess.Popen([cluster.pyralog, "start", "--data-dir", directory, "--cluster",
                                members, "--port", str(node.kafka_port), "--admin-port",
                                str(node.admin_port)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("it has a directory", lambda: os.path.exists(os.path.join(directory, "identity")))
    process.kill()
    process.wait()
    for force in ([], ["--force"]):
        done = run(cluster, "repair", *force, directory)
        expect(done.returncode == 1 and "has peers" in done.stderr, done.stderr)


def body(cluster):
    node = cluster.nodes[0]
    kcat("-b", cluster.bootstrap, "-L", "-t", TOPIC)  # Which creates it.
    until("it has a leader", lambda: all(cluster.leaders(TOPIC).values() or [None]))
    wanted = produce(cluster, 0, 1000)
    done = run(cluster, "repair", "--force", node.directory)
    expect(done.returncode == 1 and "stop it first" in done.stderr, done.stderr)
    for damage in (lost_round, lost_segment, lost_newest_file):
        wanted += produce(cluster, len(wanted), 600)
        if damage is lost_newest_file:
            for i in range(LATE_TOPICS):
                make_topic(cluster, f"late-{i}")
        cluster.kill(node)
        wanted = serves(cluster, node, damage(cluster, node, wanted))
        print(f"{damage.__name__}: {len(wanted)} records", flush=True)
    cluster.stop_all()
    applies_from_the_end(cluster, node)
    expect(run(cluster, "verify", node.directory).returncode == 0, "it is still damaged")
    has_peers(cluster, node)


if __name__ == "__main__":
    main(120, body, nodes=1,
         settings=["topic.partitions=1", "log.segment_bytes=64KiB",
                   "log.segment_flush_bytes=32KiB", "journal.file_bytes=256KiB"])
