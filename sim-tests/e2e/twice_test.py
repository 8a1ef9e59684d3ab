#!/usr/bin/env python3
"""A run that is not the same twice is found, and told with the first event that differs. The bug N01
iterates a set of pointers where the order shows."""

import json
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUGS = os.environ.get("PYRALOG_SIM_BUGS", ROOT + "/build/bugs/bin/pyralog-sim-bugs")
NOT_DETERMINISTIC = 4


def simulator(*arguments):
    done = subprocess.run([BUGS, *arguments], capture_output=True, text=True, timeout=240,
                          check=False)
    return done.returncode, done.stdout


def found_seed():
    code, text = simulator("bugs", "--bug", "N01", "--json", "-", "--for", "60s", "--jobs", "1")
    assert code == 0, text
    bug = json.loads(text)["bugs"][0]
    assert bug["caught"] and bug["oracle"] == "determinism", bug
    return str(bug["seed"])


def only(lines, beginning):
    found = [line for line in lines if line.startswith(beginning)]
    assert len(found) == 1, (beginning, lines)
    return found[0][len(beginning):]


def check_the_difference(seed):
    code, text = simulator("run", "--seed", seed, "--bug", "N01", "--twice")
    assert code == NOT_DETERMINISTIC, (code, text)
    lines = text.splitlines()
    parted = re.fullmatch(r"the runs part in event (\d+) at \d+\.\d{9} s, of node \d+",
                          next(line for line in lines if line.startswith("the runs part")))
    assert parted, text
    failed = only(lines, "FAILED ")
    assert "oracle=determinism" in failed and "event=" + parted.group(1) in failed, failed
    first, second = only(lines, "  first:  "), only(lines, "  second: ")
    assert first != second and first.split()[:3] == second.split()[:3], (first, second)
    # In words: who leads what is told in one order, and in the other.
    at = [lines.index("the %s run did in its event:" % which) for which in ("first", "second")]
    did = [set(lines[at[0] + 1:at[1]]), set(lines[at[1] + 1:])]
    assert did[0] != did[1], text
    assert any("I lead in term" in line for line in did[0] - did[1]), text
    assert any("I lead in term" in line for line in did[1] - did[0]), text
    # And up to there it can be followed.
    code, text = simulator("run", "--seed", seed, "--bug", "N01", "--until-event", parted.group(1))
    assert code == 0 and "stopped at event=" + parted.group(1) in text, text


if __name__ == "__main__":
    the_seed = found_seed()
    check_the_difference(the_seed)
    passed, said = simulator("run", "--seed", the_seed, "--twice")
    assert passed == 0, said
    print("seed", the_seed, "is two runs with the bug, and one without it")
