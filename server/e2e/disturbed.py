"""Client programs that are disturbed while they work, for the scripts beside this file.

A program asks for it on its output, and goes on when it is answered on its input:

    @kill leader TOPIC          whoever leads partition 0 is killed, and started again a second later
    @kill coordinator GROUP     likewise
    @roll                       each node is stopped as an operator does it, and started again
    @rolled?                    answered once that has come to its end

What else it prints is shown. It must end with 0.
"""

import json
import subprocess
import threading
import time

from cluster import Failure, expect, until


def coordinator_of(cluster, group):
    def known():
        done = subprocess.run([cluster.pyralog, "group", "list", "--json", "--bootstrap",
                               cluster.bootstrap], text=True, capture_output=True, timeout=60,
                              check=False)
        if done.returncode != 0:
            return None
        return {g["group"]: g["coordinator"] for g in json.loads(done.stdout)}.get(group)
    return cluster.node_of(until(f"somebody coordinates {group}", known))


class Disturber:
    def __init__(self, cluster):
        self.cluster = cluster
        self.thread = None
        self.failure = None
        self.kills = 0

    def settle(self):
        """Until all nodes are back."""
        if self.thread:
            self.thread.join()
            self.thread = None
        if self.failure:
            raise self.failure

    def begin(self, work):
        def run():
            try:
                work()
            except Failure as failure:
                self.failure = failure
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def kill(self, node):
        self.cluster.kill(node)
        self.kills += 1

        def bring_back():
            time.sleep(1)
            self.cluster.start(node)
            self.cluster.wait_until_formed()
        self.begin(bring_back)

    def roll(self):
        def one_after_the_other():
            for node in self.cluster.nodes:
                time.sleep(1)
                node.process.terminate()
                expect(node.process.wait(30) == 0, f"node {node.number} does not end well")
                self.cluster.start(node)
                self.cluster.wait_until_formed()
        self.begin(one_after_the_other)

    def obey(self, words):
        if words == ["@rolled?"]:
            self.settle()
            return
        self.settle()
        if words == ["@roll"]:
            self.roll()
        elif words[:2] == ["@kill", "leader"]:
            number = until("somebody leads", lambda: self.cluster.leaders(words[2]).get(0))
            self.kill(self.cluster.node_of(number))
        elif words[:2] == ["@kill", "coordinator"]:
            self.kill(coordinator_of(self.cluster, words[2]))
        else:
            raise Failure(f"the client asks for {words}")


def run_client(cluster, command, **options):
    """Until it has ended. How many nodes were killed meanwhile."""
    disturber = Disturber(cluster)
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              **options)
    try:
        for line in client.stdout:
            if line.startswith("@"):
                disturber.obey(line.split())
                client.stdin.write("done\n")
                client.stdin.flush()
            else:
                print(line, end="", flush=True)
        code = client.wait(30)
    finally:
        client.kill()
        client.wait()
    disturber.settle()
    expect(code == 0, f"{' '.join(map(str, command))} exits with {code}")
    return disturber.kills
