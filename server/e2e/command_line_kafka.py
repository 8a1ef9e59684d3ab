#!/usr/bin/python3
"""`pyralog topic`, `produce`, `consume` and `cluster` against real nodes, beside other clients; a
leader killed while lines are written; a trial cluster that comes back with what it held; and what
shells and man make of the texts that the program prints."""

import json
import os
import pty
import select
import signal
import subprocess
import time

import confluent_kafka
import kafka
import kafka.partitioner

from cluster import Failure, expect, free_ports, kcat, main, until

LINES = 60_000


class Program:
    def __init__(self, cluster):
        self.path = cluster.pyralog
        self.bootstrap = ["--bootstrap", cluster.bootstrap]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("PYRALOG")}

    def run(self, *words, stdin=None, code=0):
        """Its output, both kinds one after the other; JSON where that was asked for."""
        talks = words[0] in ("topic", "produce", "consume") or words[:2] == ("cluster", "status")
        command = [self.path, *map(str, words), *(self.bootstrap if talks else [])]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=120,
                              check=False, env=self.environment)
        expect(done.returncode == code, f"{words} exits with {done.returncode}, not {code}: "
                                        f"{done.stdout}{done.stderr}")
        for line in done.stderr.splitlines():
            expect(line.startswith("pyralog: "), f"{words} says on stderr: {line}")
        if "--json" in words and words[0] != "consume" and code == 0:
            return json.loads(done.stdout)
        return done.stdout + done.stderr


def read_by_kcat(cluster, topic):
    """Nothing: the broker that it asked has not heard of the topic yet, which was just made."""
    try:
        return kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-e")
    except Failure as failure:
        if "Unknown topic" not in str(failure):
            raise
        return None


def topics(run):
    text = run("topic", "create", "made", "also", "--partitions", 3, "--topic-config",
               "retention.ms=86400000")
    expect("created topic made, partitions 3" in text, text)
    expect("TOPIC_ALREADY_EXISTS" in run("topic", "create", "made", code=1), "made twice")
    expect("retention.mss" in run("topic", "create", "odd", "--topic-config", "retention.mss=1",
                                  code=1), "a setting that nobody knows is not named")
    expect("must look like" in run("topic", "create", "odd", "--topic-config", "x", code=2), "x")
    expect("must be 1 or more" in run("topic", "create", "odd", "--partitions", 0, code=2), "0")
    expect("INVALID_TOPIC" in run("topic", "create", "a b", code=1), "a space in a name")
    listed = {t["topic"]: t for t in run("topic", "list", "--json")}
    expect(listed["made"] == {"topic": "made", "partitions": 3, "replicas": 3, "without_leader": 0,
                              "internal": False}, f"listed: {listed}")
    described = run("topic", "describe", "made", "--json")
    expect(len(described) == 1 and [p["partition"] for p in described[0]["partitions"]] == [0, 1, 2]
           and all(p["leader"] in (1, 2, 3) and len(p["in_sync"]) == 3 and p["end"] == 0
                   for p in described[0]["partitions"]), f"described: {described}")
    expect(described[0]["configs"] == {"retention.ms": "86400000"}, f"configs: {described}")
    run("topic", "alter", "made", "--topic-config", "segment.ms=3600000", "--reset", "retention.ms")
    expect(run("topic", "describe", "made", "--json")[0]["configs"] == {"segment.ms": "3600000"},
           "not altered")
    expect("topic made  segment.ms=3600000" in run("topic", "describe", "made"), "not shown")
    expect("retention.mss" in run("topic", "alter", "made", "--topic-config", "retention.mss=1",
                                  code=1), "a setting that nobody knows is taken")
    expect("there is no such topic" in run("topic", "alter", "none", "--reset", "segment.ms", code=1),
           "altered: none")
    expect("say what to change" in run("topic", "alter", "made", code=2), "nothing to change")
    run("topic", "create", "grows")
    run("produce", "grows", stdin="before\n")
    expect("altered topic grows" in run("topic", "alter", "grows", "--partitions", 4, "--topic-config",
                                        "segment.ms=3600000"), "no partitions are added")
    grown, = run("topic", "describe", "grows", "--json")
    expect([p["partition"] for p in grown["partitions"]] == [0, 1, 2, 3] and
           all(p["leader"] for p in grown["partitions"]) and
           grown["configs"] == {"segment.ms": "3600000"}, grown)
    run("produce", "grows", "--partition", 3, stdin="behind\n")
    expect(run("consume", "grows") == "before\nbehind\n", "not all partitions are read")
    for count in (3, 4):
        text = run("topic", "alter", "grows", "--partitions", count, code=1)
        expect("grows: INVALID_PARTITIONS: the topic has 4 partitions already, and none can be taken "
               "away" in text, text)
    expect("must be 1 or more" in run("topic", "alter", "grows", "--partitions", 0, code=2), "0")
    expect("there is no such topic" in run("topic", "alter", "none", "--partitions", 2, code=1),
           "partitions of a topic that is not there")
    run("topic", "delete", "grows")
    expect("PARTITION  LEADER" in run("topic", "describe"), "no table")
    expect("there is no such topic" in run("topic", "describe", "none", code=1), "described: none")
    expect("there is no such topic" in run("topic", "delete", "none", code=1), "deleted: none")
    expect(run("topic", "delete", "also", "--json") == {"deleted": ["also"]}, "not deleted")


def records(cluster, run):
    run("topic", "create", "keyed", "--partitions", 3)
    lines = "".join(f"key-{i}=value {i}\n" for i in range(300))
    told = run("produce", "keyed", "--key-separator", "=", "--json", stdin=lines)
    expect(told["records"] == 300 and sum(p["records"] for p in told["partitions"]) == 300, told)
    # Where kafka-python, which does as Java does, would have put them.
    for line in kcat("-b", cluster.bootstrap, "-C", "-t", "keyed", "-e", "-f", "%p %k %s\n").splitlines():
        partition, key, value = line.split(" ", 2)
        meant = (kafka.partitioner.murmur2(key.encode()) & 0x7fffffff) % 3
        expect(int(partition) == meant, f"{key} is in {partition}, not in {meant}")
        expect(value == "value " + key[4:], line)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        run("topic", "create", codec)
        run("produce", codec, "--compression", codec, stdin=lines)
        until(f"kcat reads {codec}", lambda topic=codec: read_by_kcat(cluster, topic) == lines)
        expect(run("consume", codec) == lines, f"consume does not read {codec}")
        kcat("-b", cluster.bootstrap, "-P", "-t", codec + "-theirs", "-z", codec, stdin=lines)
        expect(run("consume", codec + "-theirs") == lines, f"consume does not read kcat's {codec}")
    run("topic", "create", "compacted", "--topic-config", "cleanup.policy=compact")
    text = run("produce", "compacted", stdin="no key\n", code=1)
    expect("compacted:0: line 1: INVALID_RECORD" in text, text)
    run("produce", "compacted", "--key-separator", "=", "--empty-is-null", stdin="a=1\na=\n")
    got = [json.loads(line) for line in run("consume", "compacted", "--json").splitlines()]
    expect([(r["key"], r["value"]) for r in got] == [("a", "1"), ("a", None)], got)
    for acks in ("1", "0"):
        run("topic", "create", "acks" + acks)
        run("produce", "acks" + acks, "--acks", acks, stdin=lines)
        until("all is written",
              lambda topic="acks" + acks: cluster.watermarks(topic) == {0: 300})
        expect(run("consume", "acks" + acks) == lines, f"acks={acks}: other lines")
    expect("--acks must be" in run("produce", "keyed", "--acks", "2", code=2), "acks=2 is taken")
    expect("no such partition: there are 3" in
           run("produce", "keyed", "--partition", 3, stdin="x\n", code=1), "partition 3 is taken")
    expect("cannot be read: No such file" in
           run("produce", "keyed", "--file", "/nowhere", code=1), "a file that is not there")
    large = "x" * 3_000_000
    expect("line 2: MESSAGE_TOO_LARGE" in run("produce", "made", "--partition", 0,
                                              stdin=f"small\n{large}\n", code=1), "too large")


def places(run):
    run("topic", "create", "places")
    run("produce", "places", stdin="".join(f"{i}\n" for i in range(10)))
    read = lambda *words, **more: run("consume", "places", *words, **more).split()
    numbers = lambda first, end: [str(i) for i in range(first, end)]
    expect(read() == numbers(0, 10), "from the beginning")
    expect(read("--from", "end") == [], "from the end")
    expect(read("--from", 7) == numbers(7, 10), "from an offset")
    expect(read("--from", 7, "--count", 2) == numbers(7, 9), "no more than two")
    expect(read("--from", "1h") == numbers(0, 10), "from an hour ago")
    expect(read("--from", "2100-01-01") == [], "from the future")
    time.sleep(1.1)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run("produce", "places", stdin="late\n")
    expect(read("--from", moment) == ["late"], "from a moment")
    expect(read("--format", "%t/%p/%o=%s\\n", "--count", 1) == ["places/0/0=0"], "a format")
    text = run("consume", "places", "--from", 99, code=1)
    expect("places:0: has no offset 99: it holds 0 up to 11" in text, text)
    expect("--from must be" in run("consume", "places", "--from", "yesterday", code=2), "a word")
    expect("there is no such topic" in run("consume", "none", code=1), "a topic that is not there")


def follow(program):
    """What comes later is shown when it comes, and SIGINT is a good end. A line that is typed goes
    at once, and does not wait for the next one."""
    follower = subprocess.Popen([program.path, "consume", "places", "--follow", "--from", "end",
                                 *program.bootstrap], stdout=subprocess.PIPE, text=True,
                                env=program.environment)
    writer = subprocess.Popen([program.path, "produce", "places", *program.bootstrap],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=program.environment)
    try:
        time.sleep(1)
        for word in ("first", "second"):
            writer.stdin.write(word + "\n")
            writer.stdin.flush()
            ready, _, _ = select.select([follower.stdout], [], [], 20)
            expect(ready and follower.stdout.readline() == word + "\n", f"{word} does not come")
        writer.stdin.close()
        expect(writer.wait(20) == 0, "produce does not end with its input")
        follower.send_signal(signal.SIGINT)
        expect(follower.wait(20) == 0, "--follow does not end well")
    finally:
        for process in (follower, writer):
            process.kill()
            process.wait()


def saved(cluster, run):
    """What `consume --json` shows is written again by `produce --records`, all but the offsets."""
    run("topic", "create", "original", "copy", "--partitions", 3)
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    for i in range(60):
        producer.produce("original", None if i % 7 == 0 else bytes([i, 255, 0, i]),
                         None if i % 5 == 0 else f"key \u2603 {i}", partition=i % 3,
                         timestamp=1_000_000 + 1000 * (i % 11),
                         headers=[("a", b"\x00\xfe"), ("a", None), ("\u2603", b"")][:i % 4])
    producer.flush(20)
    shown = run("consume", "original", "--json")
    run("produce", "copy", "--records", stdin=shown)
    plain = lambda text: sorted(
        ((r["partition"], r["offset"], json.dumps({k: v for k, v in r.items() if k != "topic"}))
         for r in map(json.loads, text.splitlines())))
    copied = run("consume", "copy", "--json")
    expect(len(plain(shown)) == 60 and plain(copied) == plain(shown), (shown[:500], copied[:500]))
    run("topic", "create", "narrow")
    expect("there is no partition" in run("produce", "narrow", "--records", stdin=shown, code=1),
           "a partition that is not there")
    run("produce", "narrow", "--records", "--partition", 0, stdin=shown)
    expect(cluster.watermarks("narrow") == {0: 60}, "not all in one partition")
    expect("line 2: has no value" in run("produce", "narrow", "--records", code=1,
                                         stdin='{"value":"x"}\n{"key":"y"}\n'), "no value")
    expect("--records says" in run("produce", "narrow", "--records", "--key-separator", "=", code=2),
           "--records and --key-separator")


def isolation(cluster, run):
    """Of transactions what is committed, and nothing beyond one that is still open."""
    run("topic", "create", "bank")
    run("produce", "bank", stdin="plain\n")
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap,
                                         "transactional.id": "teller"})
    producer.init_transactions(20)

    def transact(*values):
        producer.begin_transaction()
        for value in values:
            producer.produce("bank", value)
        producer.flush(20)
    transact("lost 1", "lost 2")
    producer.abort_transaction(20)
    transact("kept 1", "kept 2")
    producer.commit_transaction(20)
    transact("lost 3")
    producer.abort_transaction(20)
    transact("open")
    run("produce", "bank", stdin="behind\n")
    kept = "plain\nkept 1\nkept 2\n"
    everything = "plain\nlost 1\nlost 2\nkept 1\nkept 2\nlost 3\nopen\nbehind\n"
    expect(run("consume", "bank") == kept, "consume shows what is not committed, or not all that is")
    expect(run("consume", "bank", "--isolation", "read_uncommitted") == everything, "not everything")
    expect(run("consume", "bank", "--group", "auditors") == kept, "a group reads something else")
    producer.commit_transaction(20)
    until("the rest counts", lambda: run("consume", "bank") == kept + "open\nbehind\n")
    expect(run("consume", "bank", "--group", "auditors") == "open\nbehind\n", "not just the rest")
    expect("--isolation must be" in run("consume", "bank", "--isolation", "dirty", code=2), "dirty")


class Follower:
    """`pyralog consume --follow --group`, and what it has shown."""

    def __init__(self, program, room, name, topic, group):
        self.path = os.path.join(room, name)
        self.complaints = os.path.join(room, name + ".err")
        with open(self.path, "wb") as out, open(self.complaints, "wb") as err:
            self.process = subprocess.Popen(
                [program.path, "consume", topic, "--follow", "--group", group, "--from", "beginning",
                 "--format", "%p %s\\n", *program.bootstrap],
                stdout=out, stderr=err, env=program.environment)

    def lines(self):
        with open(self.path, encoding="ascii") as file:
            return file.read().splitlines()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        with open(self.complaints, encoding="utf-8") as file:
            text = file.read()
        expect(code == 0 and not text, f"--follow --group ends with {code}: {text}")


def in_a_group(cluster, program):
    run = program.run
    run("topic", "create", "shared", "--partitions", 4)
    numbered = lambda first, end: "".join(f"{i % 4}\t{i}\n" for i in range(first, end))
    write = lambda first, end: run("produce", "shared", "--key-separator", "\t",
                                   stdin=numbered(first, end))
    read = lambda *words: sorted(map(int, run("consume", "shared", "--group", "readers", *words).split()))
    write(0, 100)
    expect(read() == list(range(100)), "a new group does not begin at the beginning")
    expect(read() == [], "what was committed is shown again")
    write(100, 130)
    first = read("--count", 7)
    expect(len(first) == 7, f"not as many as were asked for: {first}")
    expect(sorted(first + read()) == list(range(100, 130)), "--count loses records or repeats them")
    told = run("group", "describe", "readers", "--json", *program.bootstrap)
    expect(told["state"] == "Empty" and sum(o["committed"] for o in told["offsets"]) == 130
           and all(o["lag"] == 0 for o in told["offsets"]), told)
    expect("exclude each other" in run("consume", "shared", "--group", "g", "--partition", 0, code=2),
           "--partition in a group")
    # Two share what there is; when one goes the other has it all, and soon.
    members = [Follower(program, cluster.room, f"follower{i}", "shared", "pair") for i in range(2)]
    try:
        shares = lambda: sorted(len(m["partitions"]) for m in run(
            "group", "describe", "pair", "--json", *program.bootstrap)["members"])
        until("both have their share", lambda: shares() == [2, 2], 60)
        write(130, 230)
        all_of = lambda who: sorted(int(line.split()[1]) for m in who for line in m.lines())
        until("all is shown", lambda: set(all_of(members)) == set(range(230)))
        late = [{line.split()[0] for line in m.lines() if int(line.split()[1]) >= 130} for m in members]
        expect(all(late) and not late[0] & late[1], f"they do not share: {late}")
        expect(all_of(members) == list(range(230)), "something is shown twice")
        members[0].interrupt()
        gone = time.monotonic()
        until("the other has all", lambda: shares() == [4])
        expect(time.monotonic() - gone < 8, "who leaves is waited for")
        write(230, 260)
        until("and shows all", lambda: set(all_of(members)) == set(range(260)))
        expect(all_of(members) == list(range(260)), "something is shown twice after one has left")
        # With somebody else's client, which leads the group or not.
        other = kafka.KafkaConsumer("shared", bootstrap_servers=cluster.bootstrap.split(","),
                                    group_id="pair", heartbeat_interval_ms=500)
        until("it shares with kafka-python",
              lambda: other.poll(200) is not None and len(other.assignment()) == 2, 60)
        other.close()
        until("and gets all back", lambda: shares() == [4], 60)
        members[1].interrupt()
        expect(shares() == [], "an interrupted member has not left")
    finally:
        for member in members:
            member.process.kill()
            member.process.wait()


def leader_is_killed(cluster, program):
    """Each line once and in order, though who leads is killed while they are written."""
    program.run("topic", "create", "through")
    path = os.path.join(cluster.room, "lines")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{i} {'.' * 500}\n" for i in range(LINES))
    writer = subprocess.Popen([program.path, "produce", "through", "--file", path, "--json",
                               *program.bootstrap], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=program.environment)
    until("lines are written", lambda: cluster.watermarks("through").get(0, 0) > 0)
    node = cluster.node_of(cluster.leaders("through")[0])
    cluster.kill(node)
    before_end = writer.poll() is None
    text, complaints = writer.communicate(timeout=120)
    expect(writer.returncode == 0, f"produce exits with {writer.returncode}: {complaints}")
    expect(before_end, "it had ended before the kill")
    # Its other partitions may still be electing, and then it exits with 1.
    until("every partition has a leader again", lambda: status_code(program) == 0)
    status = program.run("cluster", "status", "--json")
    down = {b["node"]: b["state"] for b in status["brokers"]}
    expect(down[node.number] == "down" and status["without_leader"] == 0
           and any(p["state"] == "under-replicated" for p in status["unwell"]), status)
    got = program.run("consume", "through", "--format", "%s\\n")
    cluster.start(node)
    cluster.wait_until_formed()
    expect([line.split()[0] for line in got.splitlines()] == [str(i) for i in range(LINES)],
           "lines are lost, doubled or in another order")
    expect(json.loads(text)["records"] == LINES, text)
    print(f"{LINES} lines, each once and in order, though node {node.number} was killed")


def no_leader(cluster, program):
    """Two of three nodes are away: what is told then, and how it exits."""
    for node in cluster.nodes[1:]:
        cluster.kill(node)
    status = until("somebody notices", lambda: lone_status(program))
    expect("no leader" in status, status)
    for node in cluster.nodes[1:]:
        cluster.start(node)
    cluster.wait_until_formed()
    until("all is well again", lambda: program.run("cluster", "status", "--json")["unwell"] == [])


def cluster_status(program):
    return subprocess.run([program.path, "cluster", "status", *program.bootstrap], text=True,
                          capture_output=True, timeout=60, check=False, env=program.environment)


def status_code(program):
    return cluster_status(program).returncode


def lone_status(program):
    done = cluster_status(program)
    return done.stdout if done.returncode == 1 else None


def on_a_terminal(command, environment):
    """What a program writes to a terminal that is its standard error."""
    leader, follower = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(leader)
        expect(process.wait(60) == 0, f"{command} exits with {process.returncode}")
    return shown.decode()


def progress(cluster, program):
    path = os.path.join(cluster.room, "lines")
    program.run("topic", "create", "bar")
    shown = on_a_terminal([program.path, "produce", "bar", "--file", path, *program.bootstrap],
                          program.environment)
    expect("] 0 %  bar" in shown or "#" in shown, f"produce shows no bar: {shown!r}")
    expect(shown.endswith("\r\x1b[K"), f"the bar stays: {shown[-40:]!r}")
    shown = on_a_terminal([program.path, "consume", "bar", *program.bootstrap], program.environment)
    expect(" %  bar" in shown, f"consume shows no bar: {shown!r}")


def trial_cluster(program, room):
    """Comes up, works, says who has ended, stops; and goes on with its data."""
    directory = os.path.join(room, "trial")
    port = free_ports(1)[0] // 400 * 400 + 50  # Its ports are 100 apart, all of our block.
    command = [program.path, "cluster", "up", "--nodes", "3", "--dir", directory, "--port", str(port)]
    bootstrap = ["--bootstrap", f"127.0.0.1:{port}"]
    for round_number in range(2):
        log = os.path.join(room, f"up{round_number}.log")
        with open(log, "wb") as out:
            up = subprocess.Popen(command, stdout=out, stderr=out, env=program.environment)
        said = lambda path=log: open(path, encoding="utf-8").read()
        try:
            until("the trial cluster is up", lambda: "Ctrl-C stops" in said(), 60)
            if round_number == 0:
                done = subprocess.run([program.path, "produce", "kept", *bootstrap], text=True,
                                      input="here\n", capture_output=True, timeout=60, check=False)
                expect(done.returncode == 0, f"produce: {done.stderr}")
                again = subprocess.run(command, text=True, capture_output=True, timeout=60,
                                       check=False, env=program.environment)
                expect(again.returncode == 2 and "a node is running here" in again.stderr,
                       f"a second one: {again.stderr}")
            else:
                with open(os.path.join(directory, "node2", "pyralog.pid"), encoding="ascii") as file:
                    os.kill(int(file.read()), signal.SIGKILL)
                until("it says who has ended", lambda: "node 2 has ended" in said())
            got = subprocess.run([program.path, "consume", "kept", *bootstrap], text=True,
                                 capture_output=True, timeout=60, check=False)
            expect(got.stdout == "here\n", f"the trial cluster holds {got.stdout!r} {got.stderr}")
            up.send_signal(signal.SIGINT)
            expect(up.wait(60) == 0, f"cluster up exits with {up.returncode}: {said()}")
            expect("node 1 has stopped" in said(), said())
        finally:
            up.kill()
            up.wait()
    wrong = subprocess.run([program.path, "cluster", "up", "--nodes", "2", "--dir", directory],
                           text=True, capture_output=True, timeout=60, check=False)
    expect(wrong.returncode == 2 and "holds a cluster of 3 nodes" in wrong.stderr, wrong.stderr)
    # Who is killed takes his nodes along.
    with open(os.path.join(room, "up.log"), "wb") as out:
        up = subprocess.Popen(command, stdout=out, stderr=out, env=program.environment)
    until("it is up once more", lambda: "Ctrl-C" in open(os.path.join(room, "up.log")).read(), 60)
    up.kill()
    up.wait()
    until("its nodes have ended", lambda: subprocess.run(
        [program.path, "log", "stats", "--json", os.path.join(directory, "node1")],
        capture_output=True, timeout=60, check=False).returncode == 0)


COMPLETE = {
    "bash": """source /dev/stdin <<<"$(%(program)s completion bash)"
COMP_WORDS=(pyralog %(words)s) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_pyralog; printf '%%s\\n' "${COMPREPLY[@]}" """,
    "fish": "%(program)s completion fish | source; complete -C 'pyralog %(plain)s'",
}


def shells(program, room):
    def complete(shell, *words):
        script = COMPLETE[shell] % {
            "program": program.path, "plain": " ".join(words),
            "words": " ".join(f"'{word}'" for word in words)}
        done = subprocess.run([shell, "-c", script], text=True, capture_output=True, timeout=30,
                              check=False, cwd=room, env={**os.environ, "HOME": room})
        expect(done.returncode in (0, 1) and not done.stderr, f"{shell} {words}: {done.stderr}")
        return {line.split("\t")[0] for line in done.stdout.splitlines() if line}

    for shell in COMPLETE:
        expect({"topic", "produce", "cluster"} <= complete(shell, ""), f"{shell}: nothing")
        expect({"list", "create"} <= complete(shell, "topic", ""), f"{shell}: topic")
        expect({"bash", "zsh", "fish"} <= complete(shell, "completion", ""), f"{shell}: completion")
        expect({"all", "1"} <= complete(shell, "produce", "--acks", ""), f"{shell}: --acks")
        expect("--follow" in complete(shell, "consume", "--f"), f"{shell}: --follow")
        expect(not complete(shell, "topic", "x"), f"{shell}: topic x")
    done = subprocess.run(["zsh", "-c", f"autoload -Uz compinit && compinit -D && "
                           f"source <({program.path} completion zsh) && (( $+functions[_pyralog] ))"],
                          text=True, capture_output=True, timeout=30, check=False)
    expect(done.returncode == 0 and not done.stderr, f"zsh: {done.stderr}")
    expect("must be for bash, zsh or fish" in program.run("completion", "csh", code=2), "csh")


def manual(program, room):
    path = os.path.join(room, "pyralog.1")
    with open(path, "w", encoding="ascii") as file:
        file.write(program.run("man"))
    done = subprocess.run(["man", "--warnings", "-l", path], text=True, capture_output=True,
                          timeout=60, check=False, env={**os.environ, "MANWIDTH": "80", "LANG": "C"})
    expect(done.returncode == 0 and not done.stderr, f"man complains: {done.stderr}")
    expect("raft.election_timeout" in done.stdout and "topic create" in done.stdout, "it lacks much")


def body(cluster):
    program = Program(cluster)
    topics(program.run)
    records(cluster, program.run)
    places(program.run)
    follow(program)
    saved(cluster, program.run)
    isolation(cluster, program.run)
    in_a_group(cluster, program)
    leader_is_killed(cluster, program)
    progress(cluster, program)
    no_leader(cluster, program)
    cluster.expect_alive()
    cluster.stop_all()
    trial_cluster(program, cluster.room)
    shells(program, cluster.room)
    manual(program, cluster.room)


if __name__ == "__main__":
    main(280, body, settings=("group.initial_rebalance_delay=500ms",))
