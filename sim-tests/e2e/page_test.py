#!/usr/bin/env python3
"""Opens the page of a run in a browser without a screen: no errors, what was found is there, and
the filters and the links to events work. Skipped where there is no Chromium."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIM = os.environ.get("PYRALOG_SIM", ROOT + "/build/release/bin/pyralog-sim")
BUGS = os.environ.get("PYRALOG_SIM_BUGS", ROOT + "/build/bugs/bin/pyralog-sim-bugs")


def browser(folder, *arguments):
    program = next((p for p in ("chromium", "chromium-browser", "google-chrome")
                    if shutil.which(p)), None)
    if not program:
        sys.exit("there is no chromium, which ./dev test installs")
    done = subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--user-data-dir=" + folder + "/profile", "--window-size=1500,900",
         "--virtual-time-budget=20000", *arguments],
        capture_output=True, text=True, timeout=240, check=False)
    return done.stdout


def opened(folder, page, address=""):
    dom = browser(folder, "--dump-dom", "file://" + page + address)
    body = re.search(r"<body[^>]*>", dom)
    assert body, "no page"
    facts = dict(re.findall(r'data-(\w+)="([^"]*)"', body.group(0)))
    assert "errors" not in facts, facts["errors"]
    assert facts.get("ready") == "yes", "the script has not come to its end: " + body.group(0)
    count = re.search(r'id="count">(\d+) of (\d+) events', dom)
    facts["shown"], facts["all"] = int(count.group(1)), int(count.group(2))
    facts["dom"] = dom
    return facts


def traced(folder, program, *arguments):
    page = folder + "/page.html"
    done = subprocess.run([program, "trace", "--out", page, *arguments], capture_output=True,
                          text=True, check=False)
    assert os.path.exists(page), done.stderr
    assert os.path.getsize(page) <= 5_000_000, "more than 5 MB"
    return page, done.returncode


def check_any_run(folder):
    page, code = traced(folder, SIM, "--seed", "3")
    assert code == 0, code
    facts = opened(folder, page)
    assert facts["shown"] > 1000 and int(facts["drawn"]) > 10, facts["drawn"]
    assert "This run passed." in facts["dom"]
    few = opened(folder, page, "#words=vote%20for%20me")
    assert 0 < few["shown"] < facts["shown"] / 10, few["shown"]
    no_disk = opened(folder, page, "#off=disk,log,messages")
    assert no_disk["shown"] < facts["shown"], no_disk["shown"]
    node = opened(folder, page, "#node=2")
    assert node["shown"] < facts["shown"], node["shown"]
    step = re.search(r'href="#e=(\d+)', facts["dom"]).group(1)
    linked = opened(folder, page, "#e=" + step)
    assert linked["selected"].split(".")[0] == step, linked["selected"]
    assert "--until-event " + step in linked["dom"]
    window, _ = traced(folder, SIM, "--seed", "3", "--from", "1s", "--to", "2s")
    assert opened(folder, window)["all"] < facts["all"]


def check_failed_run(folder):
    if not os.path.exists(BUGS):
        print("skipped: a run that failed: there is no pyralog-sim-bugs")
        return None
    swept = subprocess.run([BUGS, "sweep", "--bug", "M17", "--for", "60s"], capture_output=True,
                           text=True, check=False)
    found = re.search(r"FAILED oracle=.* seed=(\d+) ", swept.stdout)
    assert found, "M17 was not found in a minute"
    found_seed = found.group(1)
    page, code = traced(folder, BUGS, "--seed", found_seed, "--bug", "M17")
    assert code == 2, code
    facts = opened(folder, page)
    assert re.search(r'id="finding"[^>]*>(?:committed-not-durable|durable-not-on-media)|id="finding"[^>]*>acknowledged',
                     facts["dom"]), "the finding is not told"
    found = re.search(r'class="finding(?: here)?"|class="here finding"', facts["dom"])
    assert found, "the finding is not among the faults"
    assert "<td>finding</td>" in facts["dom"], "the page does not begin at the finding"
    return found_seed


def check_choices(folder, seed):
    choices = folder + "/failed.choices"
    subprocess.run([BUGS, "run", "--seed", seed, "--bug", "M17", "--record", choices],
                   capture_output=True, check=False)
    page, code = traced(folder, BUGS, "--choices", choices)
    assert code == 2, code
    facts = opened(folder, page)
    assert "<td>finding</td>" in facts["dom"], "the page does not begin at the finding"
    assert "pyralog-sim-bugs run --choices " + choices in facts["dom"], "the replay is not told"


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_any_run(folder)
        seed = check_failed_run(folder)
        if seed:
            check_choices(folder, seed)
    print("page: all as it should be")


main()
