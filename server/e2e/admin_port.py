#!/usr/bin/env python3
"""The admin port of real nodes: pages, limits and refusals; that every metric is in docs/metrics.md,
and what promtool and Prometheus say of metrics, alert rules and the dashboard."""

import http.client
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import cluster as c

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALERTS = ROOT + "/packaging/prometheus"
DASHBOARD = ROOT + "/packaging/grafana/pyralog.json"


def ask(node, path, method="GET", body=None):
    """Status, headers and text."""
    connection = http.client.HTTPConnection("127.0.0.1", node.admin_port, timeout=15)
    connection.request(method, path, body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def get(node, path):
    status, _, text = ask(node, path)
    c.expect(status == 200, f"{path} answers {status}: {text}")
    return json.loads(text)


def say(node, data, seconds=15):
    """What comes back to these bytes until the node closes."""
    with socket.create_connection(("127.0.0.1", node.admin_port), timeout=seconds) as client:
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer.decode()


def log_of(node):
    with open(node.log, encoding="utf-8", errors="replace") as file:
        return file.read()


def tool(*command, stdin=None):
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=60,
                          check=False)
    c.expect(done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}")


def families(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def check_pages(cluster):
    node = cluster.nodes[0]
    c.expect(ask(node, "/healthz")[2] == "ok\n", "healthz")
    c.expect(get(node, "/readyz") == {"ready": True, "reasons": []}, "readyz")
    nodes = get(node, "/v1/cluster")["nodes"]
    c.expect([n["is_up"] for n in nodes] == [True] * 3, f"{nodes}")
    c.kcat("-b", cluster.bootstrap, "-P", "-t", "orders", "-X", "acks=all",
           stdin="".join(f"{i}\n" for i in range(500)))
    c.kcat("-b", cluster.bootstrap, "-G", "readers", "orders", "-e", "-X",
           "auto.offset.reset=earliest")
    topic = next(t for t in get(node, "/v1/topics")["topics"] if t["name"] == "orders")
    c.expect(topic["records"] == 500 and topic["not_ok"] == 0, f"{topic}")
    told = get(node, "/v1/partitions?topic=orders")["partitions"]
    c.expect(told[0]["state"] == "ok" and told[0]["why"] == "", f"{told}")
    groups = {g["id"]: g for n in cluster.nodes for g in get(n, "/v1/groups")["groups"]}
    c.expect(groups["readers"]["topics"] == [{"topic": "orders", "lag": 0, "partitions_unknown": 0}],
             f"{groups}")
    # The same through one door.
    relayed = [g["id"] for n in cluster.nodes
               for g in get(node, f"/v1/groups?node={n.number}")["groups"]]
    c.expect(relayed == ["readers"], f"{relayed}")
    written = sum(m["records_written"] for n in cluster.nodes
                  for m in c.until("the history is told",
                                   lambda n=n: get(node, f"/v1/history?node={n.number}")["moments"]))
    c.until("the history has what was written", lambda: written <= 500)
    c.expect("text/html" in ask(node, "/")[1]["Content-Type"], "the console is no page")


def check_refusals(node):
    before = len(log_of(node).splitlines())
    answer = say(node, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    c.expect(answer.startswith("HTTP/1.1 400 Bad Request\r\n"), f"TLS gets {answer}")
    c.expect("this is no HTTP" in answer, answer)
    status, headers, text = ask(node, "/metrics", "DELETE")
    c.expect((status, headers["Allow"]) == (405, "GET"), f"{status} {text}")
    status, _, text = ask(node, "/nowhere")
    c.expect(status == 404 and "GET /metrics" in text, text)
    with open(ROOT + "/docs/http.md", encoding="utf-8") as file:
        document = file.read()
    for path in re.findall(r"^[A-Z, ]+ (/\S*)", text, re.M):
        c.expect(path in document, f"docs/http.md does not name {path}")
    c.until("three lines in the log", lambda: len(log_of(node).splitlines()) >= before + 3)
    lines = log_of(node).splitlines()[before:]
    refused = [line for line in lines if "refused a request at the admin port" in line]
    c.expect(len(refused) == 3 and " status=405 " in refused[1], f"{lines}")
    c.expect(say(node, b"GET / HTTP/1.1\r\nX: " + 9000 * b"x").startswith("HTTP/1.1 431 "), "431")
    big = b"PUT /v1/log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
    c.expect(say(node, big).startswith("HTTP/1.1 413 "), "413")
    page = b"POST /v1/stop HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\n\r\n"
    c.expect(say(node, page).startswith("HTTP/1.1 403 "), "a web page can stop a node")


def check_crowd(node):
    """More than may be at once, none of whom says anything, and a node that answers others."""
    idle = [socket.create_connection(("127.0.0.1", node.admin_port)) for _ in range(100)]
    began = time.monotonic()
    c.expect(ask(node, "/healthz")[0] == 200, "nobody gets through a crowd")
    c.expect(time.monotonic() - began < 8, "a crowd is in the way for too long")
    c.expect(node.status()["state"] == "ready", "the node is not ready behind a crowd")
    for one in idle:
        one.close()


def check_log_level(node):
    c.expect(get(node, "/v1/log-level") == {"level": "info", "configured": "info"}, "log-level")
    status, _, text = ask(node, "/v1/log-level", "PUT", "loud")
    c.expect(status == 400 and "debug, info, warning or error" in text, text)
    c.expect(ask(node, "/v1/log-level", "PUT", "debug")[0] == 200, "the level cannot be set")
    c.expect("the log level was changed" in log_of(node), "the log does not tell of its level")
    ask(node, "/v1/log-level", "PUT", "info")


def check_metrics(cluster):
    reference = subprocess.run([cluster.pyralog, "metrics", "--reference"], text=True,
                               capture_output=True, check=True).stdout
    with open(ROOT + "/docs/metrics.md", encoding="utf-8") as file:
        c.expect(reference in file.read(),
                 "docs/metrics.md is not what `pyralog metrics --reference` prints")
    known = dict(re.findall(r"^\| `(\S+)` \| (\w+) \|", reference, re.M))
    for node in cluster.nodes:
        text = ask(node, "/metrics")[2]
        told = families(text)
        unknown = {name: kind for name, kind in told.items() if known.get(name) != kind}
        c.expect(not unknown, f"not in docs/metrics.md: {unknown}")
        c.expect(set(known) == set(told), f"in docs/metrics.md only: {set(known) - set(told)}")
        tool("promtool", "check", "metrics", stdin=text)
        for name in ("pyralog_records_written_total", "pyralog_write_latency_seconds_count",
                     "pyralog_active_connections"):
            c.expect(re.search(f"^{name} \\d+$", text, re.M), f"there is no {name}")
    used = set()
    with open(ALERTS + "/alerts.yml", encoding="utf-8") as file:
        used |= set(re.findall(r"\bpyralog_\w+", file.read()))
    with open(DASHBOARD, encoding="utf-8") as file:
        expressions = [target["expr"] for panel in json.load(file)["panels"]
                       for target in panel["targets"]]
    used |= set(re.findall(r"\bpyralog_\w+", " ".join(expressions)))
    plain = {name if name in known else re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    c.expect(plain <= set(known), f"nobody tells {plain - set(known)}")
    return expressions


def check_prometheus(cluster, expressions):
    """The real one: it takes in nodes, rules and the dashboard's expressions, without a complaint."""
    for check in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml"),
                  ("check", "config", "prometheus.yml")):
        done = subprocess.run(["promtool", *check], cwd=ALERTS, text=True, capture_output=True,
                              timeout=60, check=False)
        c.expect(done.returncode == 0, f"promtool {' '.join(check)}: {done.stdout}{done.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        port = c.free_ports(1)[0]
        targets = [f"127.0.0.1:{node.admin_port}" for node in cluster.nodes]
        with open(folder + "/config.yml", "w", encoding="ascii") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [ALERTS + "/alerts.yml"],
                       "scrape_configs": [{"job_name": "pyralog",
                                           "static_configs": [{"targets": targets}]}]}, file)
        with subprocess.Popen(["prometheus", "--config.file=" + folder + "/config.yml",
                               "--storage.tsdb.path=" + folder + "/data",
                               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                check_server(f"http://127.0.0.1:{port}/api/v1/", expressions)
            finally:
                server.kill()


def check_server(api, expressions):
    def query(path):
        try:
            with urllib.request.urlopen(api + path, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None  # It is starting.
            raise c.Failure(f"{path}: {error.read().decode()}") from error
        except OSError:
            return None

    def value(expression):
        return query("query?" + urllib.parse.urlencode({"query": expression}))

    c.until("Prometheus has all nodes",
            lambda: len((value("pyralog_ready == 1") or {}).get("result", [])) == 3)
    for expression in expressions:
        filled = expression.replace("$job", "pyralog").replace("$instance", ".*") \
            .replace("$__rate_interval", "1m")
        value(filled)
    rules = c.until("the rules are evaluated", lambda: [
        rule for group in query("rules")["groups"] for rule in group["rules"]
        if rule["health"] != "unknown"])
    bad = [rule["name"] for rule in rules if rule["health"] != "ok"]
    c.expect(len(rules) > 10 and not bad, f"rules that do not work: {bad}")
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    c.expect(not firing, f"alerts of a cluster that is well: {firing}")


def check_trouble(cluster):
    """Two of three go, and the third says what that means."""
    alone, second, third = cluster.nodes
    cluster.kill(third)
    partition = c.until("it is told that a replica is missing", lambda: next(
        (p for p in get(alone, "/v1/partitions?topic=orders&state=under-replicated")["partitions"]
         if "node 3 since" in p["why"]), None))
    c.expect(partition["why"].startswith("1 of 3 replicas cannot be reached from here: node 3"),
             partition["why"])
    c.expect(ask(alone, "/v1/groups?node=3")[0] == 503, "a node that is gone has answered")
    cluster.kill(second)
    status, text = c.until("it is not ready", lambda: (
        lambda answer: (answer[0], answer[2]) if answer[0] == 503 else None)(ask(alone, "/readyz")))
    c.expect("nobody is known to lead the cluster" in json.loads(text)["reasons"][0], text)
    c.expect(ask(alone, "/healthz")[0] == 200, f"not healthy, too: {status}")
    why = c.until("it is told why there is no leader", lambda: [
        p["why"] for p in get(alone, "/v1/partitions?state=no+leader")["partitions"]])
    c.expect(why[0].startswith("2 of 3 replicas cannot be reached from here: "), why[0])
    cluster.start(second)
    c.until("it is ready again", lambda: ask(alone, "/readyz")[0] == 200)
    cluster.start(third)
    cluster.wait_until_formed()


def body(cluster):
    check_pages(cluster)
    check_refusals(cluster.nodes[1])
    check_crowd(cluster.nodes[1])
    check_log_level(cluster.nodes[1])
    check_prometheus(cluster, check_metrics(cluster))
    check_trouble(cluster)


c.main(150, body, settings=["group.initial_rebalance_delay=100ms", "admin.patience=3s"])
