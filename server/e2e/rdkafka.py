#!/usr/bin/python3
"""A C++ program with librdkafka (rdkafka_client.cc): admin, idempotent producers with all four codecs,
groups with three ways of assignment, each while whoever leads or coordinates is killed; then a load of
1000-byte records while the three nodes are restarted one after the other."""

import os

from cluster import expect, main
from disturbed import run_client

def body(cluster):
    client = os.path.join(os.path.dirname(cluster.pyralog), "rdkafka_client")
    expect(os.access(client, os.X_OK), f"there is no {client}: was librdkafka-dev there when CMake ran?")
    for words, kills in ((["admin"], 1), (["codecs"], 4), (["groups"], 3), (["load", "5"], 0)):
        got = run_client(cluster, [client, cluster.bootstrap, *words])
        expect(got == kills, f"{words}: {got} nodes were killed")
    cluster.expect_alive()
    cluster.stop_all()


if __name__ == "__main__":
    main(280, body, settings=["group.initial_rebalance_delay=0s", "group.offsets_partitions=4"])
