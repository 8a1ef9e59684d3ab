#!/usr/bin/python3
"""1000 groups of 10 members each, and 2000 partitions of three replicas, on three nodes of this
machine: do they stay healthy, and what does it take? `./dev bench groups` runs this; it takes about
three minutes, so it is not one of the tests.

A member is a connection that joins, shares the partitions of a topic with the others, says every three
seconds that it is there, and commits its offsets every ten. All 10,000 of them live in one process
beside the nodes, which is why the machine's load is not the nodes' alone. Then a node is killed, and
the groups that it coordinated must find each other again.
"""

import asyncio
import os
import resource
import struct
import subprocess
import time

from cluster import Failure, expect, kcat, main, until

GROUPS = 1000
MEMBERS = 10
TOPICS = 20
PARTITIONS = 100  # Of each.
CALM = 60.0       # Seconds of looking.
SESSION_MS = 30_000
HEARTBEAT = 3.0
COMMIT = 10.0
FIND, JOIN, SYNC, BEAT, COMMIT_KEY = 10, 11, 14, 12, 8
REBALANCE, MEMBER_ID_REQUIRED = 27, 79
# What means: ask again who coordinates, or begin again.
COORDINATOR_GONE = {14, 15, 16}


def text(value):
    if value is None:
        return struct.pack(">h", -1)
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def blob(data):
    return struct.pack(">i", len(data)) + data


class Answer:
    def __init__(self, data):
        self.data = data
        self.at = 4  # Behind the correlation.

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number("h")
        return None if size < 0 else self.take(size).decode()

    def blob(self):
        return self.take(max(self.number("i"), 0))

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]


class Refused(Exception):
    def __init__(self, code):
        super().__init__(f"error {code}")
        self.code = code


class Stream:
    async def open(self, address):
        self.reader, self.writer = await asyncio.open_connection(*address)
        return self

    async def ask(self, key, version, body):
        frame = struct.pack(">hhi", key, version, 1) + text("scale") + body
        self.writer.write(struct.pack(">i", len(frame)) + frame)
        size, = struct.unpack(">i", await self.reader.readexactly(4))
        return Answer(await self.reader.readexactly(size))

    def close(self):
        self.writer.close()


class World:
    """What all members know, and what became of them."""
    def __init__(self, addresses):
        self.addresses = addresses
        self.members = []
        self.joins = self.beats = self.commits = 0
        self.troubles = {}
        self.opening = asyncio.Semaphore(200)  # Not all at once: there is one listener's queue.
        self.over = False

    def note(self, trouble):
        self.troubles[trouble] = self.troubles.get(trouble, 0) + 1

    def stable(self):
        return sum(1 for member in self.members if member.stable)


class Member:
    def __init__(self, world, group):
        self.world = world
        self.group = f"group-{group}"
        self.topic = f"topic-{group % TOPICS}"
        self.id = ""
        self.generation = -1
        self.partitions = []
        self.stable = False

    async def run(self):
        world = self.world
        while not world.over:
            stream = None
            try:
                async with world.opening:
                    stream = await self.find()
                while True:
                    await self.join(stream)
                    await self.live(stream)
            except Refused as refused:
                world.note(str(refused))
                if refused.code not in COORDINATOR_GONE:
                    self.id = ""
            except (OSError, asyncio.IncompleteReadError) as error:
                world.note(type(error).__name__)
            self.stable = False
            if stream:
                stream.close()
            await asyncio.sleep(0.3)

    async def find(self):
        for address in self.world.addresses:
            try:
                asker = await Stream().open(address)
            except OSError:
                continue
            try:
                answer = await asker.ask(FIND, 2, text(self.group) + b"\0")
            finally:
                asker.close()
            answer.number("i")
            error = answer.number("h")
            if error:
                raise Refused(error)
            answer.text()
            answer.number("i")
            host, port = answer.text(), answer.number("i")
            return await Stream().open((host, port))
        raise OSError("nobody answers")

    async def join(self, stream):
        self.stable = False
        while True:
            answer = await stream.ask(JOIN, 5, text(self.group) + struct.pack(
                ">ii", SESSION_MS, SESSION_MS) + text(self.id) + text(None) + text("consumer")
                + struct.pack(">i", 1) + text("range") + blob(b"x"))
            answer.number("i")
            error = answer.number("h")
            self.generation = answer.number("i")
            answer.text()
            leader = answer.text()
            self.id = answer.text()
            if error == MEMBER_ID_REQUIRED:
                continue
            if error == REBALANCE:
                continue
            if error:
                raise Refused(error)
            break
        shares = b""
        count = 0
        if leader == self.id:
            count = answer.number("i")
            for i in range(count):
                member = answer.text()
                answer.text()
                answer.blob()
                mine = range(i, PARTITIONS, count)
                shares += text(member) + blob(struct.pack(f">{len(mine)}i", *mine))
        answer = await stream.ask(SYNC, 3, text(self.group) + struct.pack(">i", self.generation)
                                  + text(self.id) + text(None) + struct.pack(">i", count) + shares)
        answer.number("i")
        error = answer.number("h")
        if error == REBALANCE:
            await self.join(stream)
            return
        if error:
            raise Refused(error)
        share = answer.blob()
        self.partitions = struct.unpack(f">{len(share) // 4}i", share)
        self.world.joins += 1
        self.stable = True

    async def live(self, stream):
        """Until the others change."""
        me = text(self.group) + struct.pack(">i", self.generation) + text(self.id) + text(None)
        committed = time.monotonic()
        while not self.world.over:
            await asyncio.sleep(HEARTBEAT)
            answer = await stream.ask(BEAT, 3, me)
            answer.number("i")
            error = answer.number("h")
            self.world.beats += 1
            if error == REBALANCE:
                return
            if error:
                raise Refused(error)
            if time.monotonic() - committed > COMMIT:
                committed = time.monotonic()
                await self.commit(stream, me)

    async def commit(self, stream, me):
        body = me + struct.pack(">i", 1) + text(self.topic) + struct.pack(">i", len(self.partitions))
        for partition in self.partitions:
            body += struct.pack(">iqi", partition, int(time.time()), -1) + text(None)
        answer = await stream.ask(COMMIT_KEY, 7, body)
        answer.number("i")
        answer.number("i")
        answer.text()
        for _ in range(answer.number("i")):
            answer.number("i")
            error = answer.number("h")
            if error and error != REBALANCE:
                raise Refused(error)
        self.world.commits += 1


# ---- What it takes ----

def cpu_seconds(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def median_of_writes(cluster):
    """How long one record with acks=all takes, for a client that starts anew each time."""
    took = []
    for i in range(11):
        begun = time.monotonic()
        kcat("-b", cluster.bootstrap, "-P", "-t", "topic-0", "-p", i, "-X", "acks=all", stdin="x\n")
        took.append(time.monotonic() - begun)
    return sorted(took)[len(took) // 2]


def status(cluster):
    import json
    done = subprocess.run([cluster.pyralog, "cluster", "status", "--json", "--bootstrap",
                           cluster.bootstrap], text=True, capture_output=True, timeout=60,
                          check=False)
    return json.loads(done.stdout) if done.stdout else {"without_leader": -1, "unwell": [None]}


def table(cluster, before, seconds):
    for node in cluster.nodes:
        share = (cpu_seconds(node) - before[node.number]) / seconds * 100
        print(f"  node {node.number}: {node.rss_bytes() >> 20} MiB, {share:.0f} % of a core")


async def all_stable(world, what, seconds):
    begun = time.monotonic()
    while world.stable() < GROUPS * MEMBERS:
        if time.monotonic() - begun > seconds:
            raise Failure(f"{what}: {world.stable()} members are in their groups after {seconds} s, "
                          f"troubles: {world.troubles}")
        await asyncio.sleep(0.2)
    print(f"{what}: {time.monotonic() - begun:.1f} s", flush=True)


async def groups(cluster):
    world = World([("127.0.0.1", node.kafka_port) for node in cluster.nodes])
    world.members = [Member(world, i // MEMBERS) for i in range(GROUPS * MEMBERS)]
    tasks = [asyncio.create_task(member.run()) for member in world.members]
    await all_stable(world, f"{GROUPS} groups of {MEMBERS} have shared out their partitions", 180)
    print(f"  on the way: {world.joins} joins, {world.troubles or 'no troubles'}")
    await asyncio.sleep(2 * HEARTBEAT)
    world.troubles.clear()
    joins, beats, commits = world.joins, world.beats, world.commits
    before = {node.number: cpu_seconds(node) for node in cluster.nodes}
    begun = time.monotonic()
    own = time.process_time()
    await asyncio.sleep(CALM)
    took = time.monotonic() - begun
    print(f"{took:.0f} s of calm: {(world.beats - beats) / took:.0f} heartbeats/s, "
          f"{(world.commits - commits) / took:.0f} commits/s of {PARTITIONS // MEMBERS} partitions; "
          f"the members themselves: {(time.process_time() - own) / took * 100:.0f} % of a core")
    table(cluster, before, took)
    expect(world.joins == joins, f"{world.joins - joins} members had to join again")
    expect(not world.troubles, f"troubles: {world.troubles}")
    known = await asyncio.to_thread(status, cluster)
    expect(known["without_leader"] == 0 and not known["unwell"], f"unwell: {known['unwell'][:3]}")
    write = await asyncio.to_thread(median_of_writes, cluster)
    print(f"a client that starts, writes one record with acks=all and ends: {write * 1000:.0f} ms")

    victim = cluster.nodes[0]
    cluster.kill(victim)
    await asyncio.sleep(1)
    await all_stable(world, "node 1 is killed; all members are in their groups again", 180)
    print(f"  on the way: {world.troubles}")
    cluster.start(victim)
    await asyncio.to_thread(cluster.wait_until_formed)
    world.over = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def body(cluster):
    begun = time.monotonic()
    for i in range(TOPICS):
        done = subprocess.run([cluster.pyralog, "topic", "create", f"topic-{i}", "--partitions",
                               str(PARTITIONS), "--bootstrap", cluster.bootstrap], text=True,
                              capture_output=True, timeout=120, check=False)
        expect(done.returncode == 0, f"topic-{i}: {done.stderr}")
    print(f"{TOPICS * PARTITIONS} partitions of three replicas made in "
          f"{time.monotonic() - begun:.1f} s")
    before = {node.number: cpu_seconds(node) for node in cluster.nodes}
    time.sleep(10)
    table(cluster, before, 10)
    asyncio.run(groups(cluster))
    until("all is well", lambda: status(cluster)["unwell"] == [], 60)
    cluster.expect_alive()
    cluster.stop_all(60)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    main(600, body, settings=["kafka.connections_max=20000"])
