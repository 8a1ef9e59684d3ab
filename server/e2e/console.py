#!/usr/bin/env python3
"""The console of a real node in a browser without a screen: it shows what the nodes say, has no
errors, and says so when a node goes. Skipped where there is no Chromium."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
import urllib.request

import cluster as c


class Between(http.server.BaseHTTPRequestHandler):
    """Stands between the browser and a node, and lets so many questions after the cluster through.
    Then it hangs up, or says what a node says that recovers."""

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path == "/v1/cluster":
            self.server.left -= 1
        if self.path.startswith("/v1/") and self.server.left < 0:
            if self.server.body:
                self.answer(503, "application/json", self.server.body)
            return  # Without an answer the browser sees a network that is broken.
        with urllib.request.urlopen(self.server.node + self.path, timeout=10) as answer:
            self.answer(200, answer.headers["Content-Type"], answer.read())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):  # pylint: disable=arguments-differ
        pass


def opened_through(cluster, node, let_through, body=b""):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between) as between:
        between.node = f"http://127.0.0.1:{node.admin_port}"
        between.left, between.body = let_through, body
        threading.Thread(target=between.serve_forever, daemon=True).start()
        try:
            return opened(cluster, between.server_port)
        finally:
            between.shutdown()


def opened(cluster, port, address=""):
    """The page as the browser has it after some seconds; its facts are attributes of the body."""
    program = next(p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p))
    done = subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--user-data-dir=" + cluster.room + "/profile", "--window-size=1280,1600",
         "--virtual-time-budget=9000", "--dump-dom",
         f"http://127.0.0.1:{port}/{address}"],
        capture_output=True, text=True, timeout=120, check=False)
    tag = re.search(r"<body[^>]*>", done.stdout)
    c.expect(tag, "no page: " + done.stderr[-500:])
    facts = dict(re.findall(r'data-([\w-]+)="([^"]*)"', tag.group(0)))
    facts["text"] = re.sub(r"<[^>]*>", " ", done.stdout)
    facts["dom"] = done.stdout
    c.expect("errors" not in facts, facts.get("errors"))
    return facts


def body(cluster):
    node = cluster.nodes[0]
    c.kcat("-b", cluster.bootstrap, "-P", "-t", "<b>not bold", stdin="x\n", check=False)
    c.kcat("-b", cluster.bootstrap, "-P", "-t", "orders", "-X", "acks=all",
           stdin="".join(f"{i}\n" for i in range(500)))
    c.kcat("-b", cluster.bootstrap, "-G", "readers", "orders", "-e", "-X",
           "auto.offset.reset=earliest")
    page = opened(cluster, node.admin_port)
    c.expect(page.get("ready") == "yes" and page["state"] == "ok", f"{page.get('state')}")
    c.expect(int(page["partitions"]) == 1, page["partitions"] + " partitions")
    c.expect(int(page["nodes"]) == 3, page["nodes"] + " nodes have told their part")
    for words in ("3 of 3", "orders", "readers", "Stable|Empty", "this one"):
        c.expect(re.search(words, page["text"]), f"the page does not say {words}")
    c.expect('data-theme="dark"' in opened(cluster, node.admin_port, "#theme=dark")["dom"], "it is not dark")
    c.expect(int(opened(cluster, node.admin_port, "#topic=nothing")["partitions"]) == 0, "it does not filter")

    page = opened_through(cluster, node, 2)
    c.expect(page["state"] == "stale" and "has not answered since" in page["text"],
             f"a node that has gone is {page['state']}")
    c.expect("orders" in page["text"], "what was known of it is gone")
    page = opened_through(cluster, node, 0)
    c.expect("The node does not answer" in page["text"], "it does not say that nobody answers")
    page = opened_through(cluster, node, 0, b'{"error":"recovery has not finished"}')
    c.expect("cannot serve yet: recovery has not finished" in page["text"],
             "it does not say what the node waits for")

    cluster.kill(cluster.nodes[2])
    c.until("the others have noticed", lambda: node.status()["nodes"][2]["state"] == "down")
    page = opened(cluster, node.admin_port)
    c.expect("cannot be reached from here: node 3 since" in page["text"], "node 3 is not missed")
    c.expect("2 of 3" in page["text"] and int(page["nodes"]) == 2, page["nodes"])
    cluster.kill(cluster.nodes[1])
    c.until("nobody leads", lambda: node.status()["controller"] is None)
    page = opened(cluster, node.admin_port)
    c.expect("not ready" in page["text"], "it is ready without a majority")
    c.expect("nobody is known to lead the cluster" in page["text"], "it does not say why")


if not any(shutil.which(p) for p in ("chromium", "chromium-browser", "google-chrome")):
    sys.exit("there is no chromium, which ./dev test installs")
c.main(200, body, settings=["group.initial_rebalance_delay=100ms"])
