#!/usr/bin/python3
"""A disk that fills: records are refused before it is full, with an error that says so; a node still
starts with no byte free, deletes a topic, and goes on by itself when there is room again. And the
same refusal by a limit that is set too high, which a restart with a lower one ends.

The small disk is a file system in memory, in a mount namespace of this script's own. Where there may
be none, that part is left out."""

import atexit
import os
import subprocess
import sys
import time

from cluster import expect, kcat, main, until

INSIDE = "--in-a-namespace"
MIB = 1 << 20
SMALL = 96 * MIB
HUGE = "1024GiB"


def produce(cluster, topic, text, check=True):
    return kcat("-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all",
                "-X", "message.timeout.ms=3000", stdin=text, check=check)


def is_refused(cluster, topic):
    """Is a record refused, with the error that says why (KAFKA_STORAGE_ERROR)?"""
    done = subprocess.run(["kcat", "-b", cluster.bootstrap, "-P", "-t", topic, "-X", "acks=all",
                           "-X", "retries=0"], input="refused\n", text=True, capture_output=True,
                          timeout=60, check=False)
    return "Delivery failed" in done.stderr and "Disk error" in done.stderr


def consume(cluster, topic):
    return kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e").splitlines()


def log_of(node):
    with open(node.log, encoding="utf-8", errors="replace") as file:
        return file.read()


def is_short(node):
    return (node.status() or {}).get("disk_is_short")


def restart(cluster, node, kill=False):
    if kill:
        cluster.kill(node)
    else:
        cluster.stop_all()
    cluster.start(node)
    cluster.wait_until_formed()


def a_limit_that_is_too_high(cluster):
    node = cluster.nodes[0]
    produce(cluster, "limit", "before\n")
    settings = list(cluster.settings)
    cluster.settings += [f"disk.free_bytes_min={HUGE}"]
    restart(cluster, node)
    expect(is_short(node), "the node does not say that its disk is short")
    expect(is_refused(cluster, "limit"), "a record was taken, or refused without a reason")
    expect("the disk is nearly full: new records are refused until" in log_of(node),
           "the log does not say why")
    told = subprocess.run([cluster.pyralog, "status", "--data-dir", node.directory], text=True,
                          capture_output=True, timeout=20, check=False).stdout
    expect("nearly full" in told, f"status does not say so, but: {told}")
    expect(consume(cluster, "limit") == ["before"], "what was stored cannot be read")
    cluster.settings = settings
    restart(cluster, node)
    produce(cluster, "limit", "after\n")
    expect(consume(cluster, "limit") == ["before", "after"], "not all is there after the restart")


def free(node):
    found = os.statvfs(node.directory)
    return found.f_bavail * found.f_frsize


def a_disk_that_fills(cluster):
    node = cluster.nodes[0]
    lines = [f"{i} " + "x" * 50_000 for i in range(20)]
    taken = 0
    for _ in range(400):
        if is_short(node):
            break
        produce(cluster, "filler", "\n".join(lines) + "\n", check=False)
        taken += 1
    expect(is_short(node), f"{free(node)} bytes are free, and nothing is refused")
    expect(free(node) > 4 * MIB, f"{free(node)} bytes are free: too late")
    expect(is_refused(cluster, "filler"), "a record was taken, or refused without a reason")

    # Others take what is left.
    filler = os.path.join(os.path.dirname(node.directory), "others")
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    until("the reserve is given back",
          lambda: not os.path.exists(os.path.join(node.directory, "reserve")))
    cluster.expect_alive()
    expect(len(consume(cluster, "filler")) >= len(lines), "nothing can be read")
    restart(cluster, node, kill=True)
    expect(is_short(node), "after a restart nothing is short")
    expect(len(consume(cluster, "filler")) >= len(lines), "nothing can be read after a restart")
    os.remove(filler)
    delete(cluster, "filler")
    until("there is room again", lambda: is_short(node) is False)
    until("the reserve is there again",
          lambda: os.path.exists(os.path.join(node.directory, "reserve")))
    produce(cluster, "next", "again\n")
    expect(consume(cluster, "next") == ["again"], "nothing is stored though there is room")
    cluster.expect_alive()
    print(f"a disk of {SMALL // MIB} MiB filled by {taken} requests of 1 MB")


def delete(cluster, topic):
    from confluent_kafka.admin import AdminClient  # pylint: disable=import-outside-toplevel
    client = AdminClient({"bootstrap.servers": cluster.bootstrap})
    for future in client.delete_topics([topic], operation_timeout=20).values():
        future.result(30)


def namespace():
    """Whether a file system may be mounted that nobody else sees."""
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                          capture_output=True, check=False).returncode == 0


def make_a_small_disk(cluster):
    disk = os.path.join(cluster.room, "disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", disk], check=True)
    cluster.nodes[0].directory = os.path.join(disk, "node1")

    def remove():
        subprocess.run(["umount", "-l", disk], check=False)
        os.rmdir(disk)
        os.rmdir(cluster.room)
    atexit.register(remove)


def body_on_a_small_disk(cluster):
    time.sleep(1.5)  # Until room is set aside.
    expect(os.path.exists(os.path.join(cluster.nodes[0].directory, "reserve")), "no reserve")
    a_disk_that_fills(cluster)


if __name__ == "__main__":
    if INSIDE in sys.argv:
        main(200, body_on_a_small_disk, nodes=1, prepare=make_a_small_disk,
             settings=["disk.free_bytes_min=16MiB", "disk.reserve_bytes=4MiB",
                       "journal.file_bytes=4MiB", "journal.journal_bytes_max=16MiB",
                       "log.segment_bytes=4MiB"])
    else:
        main(90, a_limit_that_is_too_high, nodes=1, settings=["disk.reserve_bytes=1MiB"])
        if not namespace():
            print("no small disk can be made here: its part is left out")
            sys.exit(0)
        sys.exit(subprocess.run(["unshare", "-rm", sys.executable, __file__, INSIDE],
                                check=False).returncode)
