#!/usr/bin/python3
"""kafkajs, in the versions of kafkajs/package-lock.json: admin, an idempotent producer, gzip and
snappy, a group with two members; each while the node that leads is killed once."""

import os
import shutil
import subprocess
import sys

from cluster import expect, kcat, main
from disturbed import run_client

HERE = os.path.dirname(os.path.abspath(__file__))


def install(cluster):
    """Into the cluster's room; the tree stays as it is."""
    cluster.client = os.path.join(cluster.room, "kafkajs")
    shutil.copytree(os.path.join(HERE, "kafkajs"), cluster.client)
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                          cwd=cluster.client, text=True, capture_output=True, timeout=120,
                          check=False)
    expect(done.returncode == 0, f"npm does not install kafkajs: {done.stderr[-2000:]}")


def check(cluster, topic, count):
    """Each of the numbers once, rising in each partition."""
    newest = {}
    seen = set()
    got = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-f", "%p %s\n")
    for record in got.splitlines():
        partition, number = map(int, record.split())
        expect(number > newest.get(partition, -1), f"{topic}: {number} is there twice, or late")
        newest[partition] = number
        seen.add(number)
    expect(seen == set(range(count)), f"{topic}: {count - len(seen)} of {count} are lost")
    print(f"{topic}: {count} messages, each exactly once and in order")


def body(cluster):
    kills = run_client(cluster, ["node", os.path.join(cluster.client, "client.js"),
                                 cluster.bootstrap])
    expect(kills == 6, f"{kills} nodes were killed")
    check(cluster, "idempotent", 6000)
    cluster.expect_alive()
    cluster.stop_all()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main(240, body, prepare=install,
         settings=["group.initial_rebalance_delay=0s", "group.offsets_partitions=4"])
