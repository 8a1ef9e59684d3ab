#!/usr/bin/env bash
# The program at its edges: every mistake is one clear line and an exit code, before anything on
# disk is touched; and a node starts, is asked, stops, and finds its directory again.
set -euo pipefail

# To the end, or whoever still writes is told that nobody reads: grep -q goes at the first match.
says() { grep -E -- "$1" >/dev/null; }
pyralog=${PYRALOG:?the program to test}
[[ -x $pyralog ]] || { echo "there is no program $pyralog" && exit 1; }
room=$(mktemp -d)
node_pid=
other_pid=
cleanup() {
    for pid in $node_pid $other_pid; do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$room"
}
trap cleanup EXIT
cd "$room"
for variable in ${!PYRALOG_@}; do unset "$variable"; done

ports=(--port 27092 --admin-port 27094 --set kafka.host=127.0.0.1)
failures=0
fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect CODE TEXT COMMAND...: exits with it, and says it on stderr, in lines that begin like ours.
expect() {
    local code=$1 text=$2 got=0
    shift 2
    timeout 20 "$@" >out 2>err </dev/null || got=$?
    ((got == code)) || fail "$* exits with $got, not $code: $(cat err)"
    grep -qF -- "$text" err || fail "$* does not say \"$text\" but: $(cat err)"
    ! grep -qv '^pyralog: ' err || fail "$* says more than its complaint: $(cat err)"
}

untouched() { [[ ! -e $1 ]] || fail "$1 was made"; }

# until_true SECONDS COMMAND...
until_true() {
    local tries=$((10 * $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || return 1
        sleep 0.1
    done
}

# ---- The command line, the file, the environment ----

expect 2 'say what to do: start, stop, status, config, metrics, topic, produce, consume, group, cluster, ' "$pyralog"
expect 2 'bogus' "$pyralog" bogus
expect 2 '--port' "$pyralog" start --port
expect 2 'must look like HOST:PORT' "$pyralog" status --admin nowhere
expect 2 'must look like HOST:PORT' "$pyralog" group list --bootstrap nowhere
expect 2 'GROUP is required' "$pyralog" group describe
expect 1 'no broker answers' "$pyralog" group list --bootstrap 127.0.0.1:1
expect 2 'did you mean "raft.election_timeout"?' "$pyralog" start --data-dir d --set raft.election_timeot=1s
expect 2 'kafka.port is "99999"' "$pyralog" start --data-dir d --port 99999
expect 2 'must be from 50ms to 1m' "$pyralog" start --data-dir d --set raft.election_timeout=1ms
expect 2 'this node must be one of them' "$pyralog" start --data-dir d --cluster 2=127.0.0.1:27093
expect 2 'each number once' "$pyralog" start --data-dir d --cluster 1=a:1,1=b:1
expect 2 'PYRALOG_NODE_ID: node.id is "x"' env PYRALOG_NODE_ID=x "$pyralog" start --data-dir d
expect 2 'did you mean "node.id"?' env PYRALOG_NODE_IDD=1 "$pyralog" start --data-dir d
expect 2 'missing.toml: cannot be read' "$pyralog" start --data-dir d --config missing.toml
expect 2 'cannot be read' "$pyralog" start --data-dir d --config "$room"
printf '[raft]\nelection_timeout = 1s\n' >bad.toml
expect 2 'bad.toml:2: is not TOML' "$pyralog" start --data-dir d --config bad.toml
printf '[kafka]\n\nport = 1.5\n' >float.toml
expect 2 'float.toml:3: kafka.port must be' "$pyralog" start --data-dir d --config float.toml
printf '[kafka]\nprot = 1\n' >unknown.toml
expect 2 'unknown.toml:2: there is no setting "kafka.prot"; did you mean "kafka.port"?' \
    "$pyralog" start --data-dir d --config unknown.toml
untouched d

# ---- Who overrules whom ----

cat >good.toml <<'END'
[node]
id = 2
log_level = "warning"
[cluster]
name = "from-file"
members = ["1=127.0.0.1:27093", "2=127.0.0.1:27193"]
[kafka]
port = 1001
[topic]
auto_create = false
[admin]
port = 1003
END
PYRALOG_KAFKA_PORT=2001 PYRALOG_ADMIN_PORT=2003 PYRALOG_PORT=tcp://10.0.0.1:9092 \
    "$pyralog" config --config good.toml --admin-port 3003 >shown
grep -qE '^node.id +2 +file good.toml:2$' shown || fail "the file is not heard"
grep -qE '^kafka.port +2001 +environment PYRALOG_KAFKA_PORT$' shown || fail "the environment is not heard"
grep -qE '^admin.port +3003 +flag --admin-port$' shown || fail "the flag is not heard"
grep -qE '^cluster.members +1=127.0.0.1:27093,2=127.0.0.1:27193 ' shown || fail "the list is not heard"
grep -qE '^topic.auto_create +false ' shown || fail "the truth is not heard"
printf '[cluster.members]\n1 = "a:1"\n2 = "b:2"\n' >table.toml
"$pyralog" config --config table.toml | says '^cluster.members +1=a:1,2=b:2 ' || fail "the table is not heard"
"$pyralog" config --json | python3 -c 'import json, sys
settings = json.load(sys.stdin)
assert settings["kafka.port"] == {"value": "9092", "source": "default", "where": ""}, settings' ||
    fail "config --json is not what it should be"

# ---- The directory and the ports ----

touch file
expect 1 'is no directory' "$pyralog" start --data-dir file "${ports[@]}"
expect 1 'cannot be made' "$pyralog" start --data-dir file/below "${ports[@]}"
mkdir strange && touch strange/letter.txt
expect 1 'none that says whose data' "$pyralog" start --data-dir strange "${ports[@]}"
[[ $(ls -A strange) == letter.txt ]] || fail "a strange directory was touched"
if ((EUID != 0)); then
    mkdir -m 500 closed
    expect 1 'cannot be written' "$pyralog" start --data-dir closed "${ports[@]}"
    expect 1 'cannot be made' "$pyralog" start --data-dir closed/below "${ports[@]}"
fi
expect 1 'no address of this machine' "$pyralog" start --data-dir d "${ports[@]}" --set admin.host=192.0.2.1
python3 -c 'import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 27092))
s.listen()
time.sleep(60)' &
other_pid=$!
listening() { (: <>/dev/tcp/127.0.0.1/27092); }
until_true 10 listening || fail "nobody listens"
expect 1 'kafka.port: 127.0.0.1:27092: the port is in use' "$pyralog" start --data-dir d "${ports[@]}"
kill "$other_pid" && wait "$other_pid" 2>/dev/null || true
other_pid=
untouched d

# ---- A node's life ----

status() { "$pyralog" status --data-dir d/deep --json; }
ready() { status | says '"state":"ready"'; }
start() {
    "$pyralog" start --data-dir d/deep "${ports[@]}" >>node.log 2>&1 &
    node_pid=$!
    until_true 30 ready || { fail "the node does not get ready: $(tail -n 5 node.log)" && exit 1; }
}
expect 1 'no node has run here' "$pyralog" status --data-dir d/deep
start
"$pyralog" status --data-dir d/deep | says '^1 +127.0.0.1:27092 +up ' || fail "status shows no node"
"$pyralog" status --admin 127.0.0.1:27094 >/dev/null || fail "status does not find the address"
expect 1 'the node is running: stop it first' "$pyralog" log digest d/deep
grep -q 'chose how journal writes become durable node=1 io.sync=\|chose how journal writes become durable io.sync=' \
    node.log || fail "the log does not say how writes become durable"
expect 1 'is in use by another node (process ' "$pyralog" start --data-dir d/deep "${ports[@]}"
"$pyralog" stop --data-dir d/deep || fail "stop fails"
wait "$node_pid" || fail "a node that was stopped exits with $?"
node_pid=
expect 1 'no node is running here' "$pyralog" status --data-dir d/deep
expect 1 'no node is running here' "$pyralog" stop --data-dir d/deep
expect 1 'no node has run here' "$pyralog" log digest d
"$pyralog" log digest --json d/deep d/deep | python3 -c 'import json, sys
for log in json.load(sys.stdin): assert not log["differs"], log' || fail "a node differs from itself"
"$pyralog" log verify d/deep | says '^nothing is damaged$' || fail "a good directory is not called so"
"$pyralog" log verify --json d/deep | python3 -c 'import json, sys
found = json.load(sys.stdin); assert not found["damaged"] and found["files"], found' || fail "verify --json"
"$pyralog" log stats --json d/deep | python3 -c 'import json, sys
assert [g["group"] for g in json.load(sys.stdin)] == [0]' || fail "stats --json"
"$pyralog" log dump --group 0 d/deep | says ' vote group=0 ' || fail "dump shows no vote"
# What the disk is like, and nothing is left behind.
before=$(ls -A d/deep)
"$pyralog" disk probe d/deep | says '^recommended: io.sync = (fdatasync|dsync): ' || fail "disk probe recommends nothing"
"$pyralog" disk probe --json d/deep | python3 -c 'import json, sys
found = json.load(sys.stdin)
assert found["recommended"] in ("fdatasync", "dsync") and found["sequential_ns"] > 0, found
assert {f["bytes"] for f in found["figures"]} == {4096, 65536, 262144, 1048576}, found' || fail "disk probe --json"
[[ $(ls -A d/deep) == "$before" ]] || fail "disk probe leaves something behind"
expect 1 'nowhere: cannot make a file: No such file or directory' "$pyralog" disk probe nowhere
# Damage that is done by hand is named with file, place and kind.
cp -r d/deep d/harmed
victim=$(cd d/harmed && ls journal/*.log | tail -n 1)
printf 'X' | dd of="d/harmed/$victim" bs=1 seek=8292 conv=notrunc status=none
"$pyralog" log verify d/harmed >out && fail "verify calls a harmed directory good"
grep -qE "^$victim:8256: .* is bad: the node does not start$" out || fail "verify says: $(cat out)"
"$pyralog" log repair d/harmed >out || fail "repair exits with $? where nothing would be lost"
grep -q 'nothing would be lost: --force repairs it$' out || fail "repair says: $(cat out)"
timeout 20 "$pyralog" start --data-dir d/harmed "${ports[@]}" >out 2>&1 && fail "a harmed node starts"
grep -q '^pyralog: the node has ended: corrupt' out || fail "a harmed node says: $(cat out)"
expect 1 'belongs to node 1, not to node 2' "$pyralog" start --data-dir d/deep "${ports[@]}" --node-id 2
expect 1 'belongs to cluster "pyralog", not to "other"' \
    "$pyralog" start --data-dir d/deep "${ports[@]}" --cluster-name other
expect 1 'the members of a cluster cannot change' \
    "$pyralog" start --data-dir d/deep "${ports[@]}" --cluster 1=127.0.0.1:27093,2=127.0.0.1:27193
start
kill -TERM "$node_pid"
wait "$node_pid" || fail "a node that was told SIGTERM exits with $?"
start
kill -KILL "$node_pid"
wait "$node_pid" 2>/dev/null || true
expect 1 'no node is running here' "$pyralog" status --data-dir d/deep
start
kill -INT "$node_pid"
wait "$node_pid" || fail "a node that was told SIGINT exits with $?"
node_pid=
echo damage >d/deep/identity
expect 1 'is damaged' "$pyralog" start --data-dir d/deep "${ports[@]}"

((failures == 0)) || { echo "$failures failures" && exit 1; }
echo "all as it should be"
