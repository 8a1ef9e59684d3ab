"use strict";
// The console: asks this node every two seconds and shows what it says. Text from the node is only
// ever shown as text.

const refreshMs = 2000;
const patienceMs = 6000;
const rowsMax = 300;

const seen = { answeredAt: 0, failure: "", cluster: null, histories: new Map(), history: [],
               topics: [], partitions: [], interval: 2000, leftOut: 0, groups: [], groupsNote: "", lags: new Map() };
const byId = (id) => document.getElementById(id);

// make("td", {class: "number"}, "text", child...)
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// ---- Numbers, as people read them ----

function count(value) {
  if (value < 10000) return String(Math.round(value));
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return (value / size).toFixed(value >= 100 * size ? 0 : 1) + " " + unit;
  }
  return String(value);
}
function bytes(value) {
  for (const [unit, size] of [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]]) {
    if (value >= size) return (value / size).toFixed(value >= 100 * size ? 0 : 1) + " " + unit;
  }
  return Math.round(value) + " B";
}
function micros(value) {
  if (value === 0) return "–";
  if (value < 1000) return value + " µs";
  if (value < 1e6) return (value / 1000).toFixed(value < 1e5 ? 1 : 0) + " ms";
  return (value / 1e6).toFixed(1) + " s";
}
function lasting(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

// ---- Asking ----

async function ask(path) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patienceMs);
  try {
    const answer = await fetch(path, { signal: late.signal, cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error || "HTTP " + answer.status);
    return body;
  } finally {
    clearTimeout(timer);
  }
}

// Each node has its own part: this one asks the others, and whoever does not answer is left out.
async function askAll(path, ids) {
  const answers = await Promise.all(ids.map((id) =>
    ask(path + (path.includes("?") ? "&" : "?") + "node=" + id).catch(() => null)));
  return new Map(ids.map((id, i) => [id, answers[i]]).filter(([, answer]) => answer));
}

async function refresh() {
  try {
    const [cluster, topics] = await Promise.all([ask("/v1/cluster"), ask("/v1/topics")]);
    const ids = cluster.nodes.filter((node) => node.is_up).map((node) => node.id);
    const [histories, partitions, groups] = await Promise.all([
      askAll("/v1/history", ids), askAll("/v1/partitions?limit=5000", ids),
      askAll("/v1/groups", ids)]);
    if (!partitions.has(cluster.node)) throw new Error("its partitions are not told");
    seen.cluster = cluster;
    seen.topics = topics.topics;
    seen.histories = histories;
    seen.partitions = partitionsOf(cluster.node, partitions);
    seen.leftOut = partitions.get(cluster.node).left_out;
    seen.groups = [...groups.values()].flatMap((part) =>
      part.groups.map((group) => ({ ...group, node: part.node })));
    seen.groups.sort((a, b) => (a.id < b.id ? -1 : 1));
    seen.groupsNote = [...groups.values()].some((part) => part.is_loading)
      ? "Some groups are still being loaded." : "";
    seen.answeredAt = Date.now();
    seen.failure = "";
    rememberLags();
  } catch (failure) {
    seen.failure = failure.name === "AbortError" || failure instanceof TypeError
      ? "" : failure.message;
    seen.failed = true;
    showState();
    return;
  }
  seen.failed = false;
  show();
}

// Of each partition what its leader says, who knows most of it; else what this node does. And what
// only the owner of a damaged log knows.
function partitionsOf(self, parts) {
  const best = new Map();
  for (const [node, part] of parts) {
    for (const partition of part.partitions) {
      const key = partition.topic + "/" + partition.partition;
      const known = best.get(key);
      const leads = partition.role === "leader";
      if (!known || leads || (node === self && known.role !== "leader"))
        best.set(key, { ...partition, damaged: known ? known.damaged : [] });
      if (partition.damages && !leads) best.get(key).damaged.push([node, partition.why]);
    }
  }
  for (const partition of best.values()) {
    for (const [node, why] of partition.damaged) {
      if (partition.state === "ok") partition.state = "repairing";
      partition.why += (partition.why ? "; " : "") + "on node " + node + ": " + why;
    }
  }
  return [...best.values()].sort((a, b) =>
    a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition);
}

// The moments of one node; or of all, counted back from now, with sums, and of times the longest.
function momentsOf(who) {
  const parts = [...seen.histories].filter(([id]) => who === "all" || String(id) === who)
    .map(([, part]) => part.moments);
  const length = Math.max(0, ...parts.map((moments) => moments.length));
  const all = [];
  for (let back = length; back > 0; --back) {
    const sum = {};
    for (const moments of parts) {
      for (const [name, value] of Object.entries(moments[moments.length - back] || {}))
        sum[name] = name.endsWith("_us") || name === "at_ms"
          ? Math.max(sum[name] || 0, value) : (sum[name] || 0) + value;
    }
    all.push(sum);
  }
  return all;
}

// What the node does not keep: how lags went while the page was open.
function rememberLags() {
  for (const group of seen.groups) {
    const series = seen.lags.get(group.id) || [];
    series.push(lagOf(group));
    if (series.length > 150) series.shift();
    seen.lags.set(group.id, series);
  }
  const known = new Set(seen.groups.map((group) => group.id));
  for (const id of seen.lags.keys()) if (!known.has(id)) seen.lags.delete(id);
}
const lagOf = (group) => group.topics.reduce((sum, topic) => sum + topic.lag, 0);

// ---- Showing ----

const stateClass = { "ok": "good", "under-replicated": "warn", "repairing": "warn",
                     "refusing": "bad", "no leader": "bad" };

function showState() {
  const banner = byId("banner"), pill = byId("state");
  const never = !seen.cluster;
  document.body.dataset.state = seen.failed ? (never ? "starting" : "stale") : "ok";
  banner.hidden = !seen.failed;
  if (seen.failed) {
    const since = seen.answeredAt ? new Date(seen.answeredAt).toLocaleTimeString() : "";
    banner.className = seen.failure ? "wait" : "";
    banner.textContent = seen.failure
      ? "The node answers, but cannot serve yet: " + seen.failure + "."
      : never ? "The node does not answer. Is it running?"
              : "The node has not answered since " + since + ". What is shown is as it was then.";
    pill.textContent = seen.failure ? "not ready" : "no answer";
    pill.className = "pill " + (seen.failure ? "warn" : "bad");
    return;
  }
  const ready = seen.cluster.ready;
  pill.textContent = ready ? "ready" : "not ready";
  pill.className = "pill " + (ready ? "good" : "bad");
}

function show() {
  const cluster = seen.cluster;
  showState();
  document.title = "Pyralog: " + cluster.cluster + ", node " + cluster.node;
  byId("cluster").textContent = cluster.cluster;
  byId("self").textContent = "node " + cluster.node;
  byId("level").textContent = "log level " + cluster.log_level;
  showTiles(cluster);
  showHistory();
  showProblems(cluster);
  showNodes(cluster);
  showTopics();
  showPartitions();
  showGroups();
  document.body.dataset.ready = "yes";
}

function showHistory() {
  const who = byId("who"), ids = [...seen.histories.keys()].map(String);
  const wanted = ["all", ...ids];
  if ([...who.options].map((option) => option.value).join() !== wanted.join()) {
    const chosen = who.value || "all";
    who.replaceChildren(...wanted.map((id) =>
      make("option", { value: id }, id === "all" ? "all nodes" : "node " + id)));
    who.value = wanted.includes(chosen) ? chosen : "all";
  }
  for (const part of seen.histories.values()) seen.interval = part.interval_ms;
  seen.history = momentsOf(who.value);
  document.body.dataset.nodes = ids.length;
  showCharts(byId("charts"), seen.history, seen.interval);
}

function tile(name, value, more, kind) {
  return make("div", { class: "tile " + (kind || "") }, make("div", { class: "name" }, name),
              make("div", { class: "value" }, value), make("div", { class: "more" }, more || " "));
}

function showTiles(cluster) {
  const up = cluster.nodes.filter((node) => node.is_up).length;
  const unwell = seen.partitions.filter((partition) => partition.state !== "ok").length;
  const lag = seen.groups.reduce((sum, group) => sum + lagOf(group), 0);
  const used = cluster.disk_total_bytes - cluster.disk_free_bytes;
  const share = cluster.disk_total_bytes ? used / cluster.disk_total_bytes : 0;
  const disk = tile("Disk free", bytes(cluster.disk_free_bytes),
                    "of " + bytes(cluster.disk_total_bytes), cluster.disk_is_short ? "bad" : "");
  const meter = make("div", { class: "meter" + (cluster.disk_is_short ? " bad" : "") }, make("div"));
  meter.firstChild.style.width = (100 * share).toFixed(1) + "%";
  disk.append(meter);
  byId("tiles").replaceChildren(
    tile("Nodes up", up + " of " + cluster.nodes.length,
         cluster.controller.leader ? "led by node " + cluster.controller.leader : "no controller",
         up < cluster.nodes.length ? "warn" : cluster.controller.leader ? "" : "bad"),
    tile("Topics", count(cluster.topics), count(cluster.partitions) + " partitions"),
    tile("Without leader", count(cluster.partitions_without_leader), "partitions",
         cluster.partitions_without_leader ? "bad" : ""),
    tile("Not well", count(unwell), "partitions, for any reason", unwell ? "warn" : ""),
    tile("Consumer lag", count(lag), seen.groups.length + (seen.groups.length === 1 ? " group" : " groups")), disk);
}

function showProblems(cluster) {
  const items = cluster.reasons.map((reason) => ["bad", "not ready", "node " + cluster.node, reason]);
  // Most partitions have the same trouble: it is told once.
  const causes = new Map();
  for (const partition of seen.partitions) {
    if (partition.state === "ok") continue;
    const cause = partition.state + "\n" + partition.why.replace(/\d+ (ms|s|min|h|d)\b/g, "…");
    const known = causes.get(cause) || { partition, more: 0 };
    if (causes.has(cause)) known.more += 1;
    causes.set(cause, known);
  }
  for (const { partition, more } of causes.values()) {
    const where = partition.topic + "-" + partition.partition + (more ? " and " + more + " more" : "");
    items.push([stateClass[partition.state], partition.state, where, partition.why]);
  }
  byId("problems-section").hidden = items.length === 0;
  byId("problems").replaceChildren(...items.slice(0, 20).map(([kind, state, where, why]) =>
    make("li", {}, make("span", { class: "pill " + kind }, state),
         make("span", { class: "where" }, where), make("span", {}, why))));
}

// table(element, [["Heading", "class"]...], rows of cells, what to say if there are none)
function table(element, columns, rows, none) {
  const head = make("thead", {}, make("tr", {}, ...columns.map(([name, kind]) =>
    make("th", { class: kind, scope: "col" }, name))));
  const body = make("tbody", {}, ...rows.map((cells) =>
    make("tr", {}, ...cells.map((cell, i) => make("td", { class: columns[i][1] }, cell)))));
  if (rows.length === 0)
    body.append(make("tr", {}, make("td", { class: "empty", colspan: columns.length }, none)));
  element.replaceChildren(head, body);
}

const pill = (kind, text) => make("span", { class: "pill " + kind }, text);

function showNodes(cluster) {
  table(byId("nodes"),
    [["Node"], ["State"], ["For", "number"], ["Clients reach it at", "mono"], ["Replicas", "number"],
     ["Leads", "number"], ["Waits to be sent", "number"]],
    cluster.nodes.map((node) => [
      node.id + (node.is_self ? " (this one)" : ""),
      pill(node.is_up ? "good" : "bad", node.is_up ? "up" : "cannot be reached"),
      node.since_ms === undefined ? "" : lasting(node.since_ms),
      node.address.startsWith(":") ? "–" : node.address, count(node.replicas),
      count(node.partitions_led),
      node.queue_bytes === undefined ? "" : bytes(node.queue_bytes)]), "No nodes.");
}

function showTopics() {
  byId("topics-count").textContent = seen.topics.length;
  table(byId("topics"),
    [["Topic", "mono"], ["Partitions", "number"], ["Replicas of each", "number"],
     ["Records", "number"], ["State"]],
    seen.topics.slice(0, rowsMax).map((topic) => [
      topic.name, count(topic.partitions), topic.replicas,
      (topic.partitions_unknown ? "≥ " : "") + count(topic.records),
      topic.without_leader ? pill("bad", topic.without_leader + " without leader")
        : topic.not_ok ? pill("warn", topic.not_ok + " not well") : pill("good", "ok")]),
    "There are no topics yet.");
}

function replicas(partition, down) {
  return make("span", {}, ...partition.replicas.map((node) => make("span", {
    class: "node" + (node === partition.leader ? " leads" : "") + (down.has(node) ? " down" : ""),
    title: "node " + node + (node === partition.leader ? " leads" : "")
           + (down.has(node) ? ", cannot be reached" : "") }, String(node))));
}

// Null: its leader has not heard of that follower since it was elected.
function lacked(followers) {
  const known = followers.map((follower) => follower.behind_entries).filter((lack) => lack !== null);
  const most = known.length ? count(Math.max(...known)) : "0";
  return known.length < followers.length ? (most === "0" ? "?" : "≥ " + most) : most;
}

function showPartitions() {
  const words = byId("filter").value.trim(), only = byId("only").checked,
        inner = byId("inner").checked;
  const down = new Set(seen.cluster.nodes.filter((node) => !node.is_up).map((node) => node.id));
  const wanted = seen.partitions.filter((partition) =>
    partition.topic.includes(words) && (!only || partition.state !== "ok")
    && (inner || !partition.topic.startsWith("__")));
  document.body.dataset.partitions = wanted.length;
  byId("partitions-count").textContent = wanted.length === seen.partitions.length
    ? seen.partitions.length : wanted.length + " of " + seen.partitions.length;
  const left = Math.max(wanted.length - rowsMax, 0) + seen.leftOut;
  byId("partitions-more").textContent = left ? left + " more are not shown: filter by topic." : "";
  table(byId("partitions"),
    [["Topic", "mono"], ["Partition", "number"], ["Replicas"], ["Term", "number"],
     ["From", "number"], ["To", "number"], ["Followers lack", "number"], ["State"], ["Why", "wide"]],
    wanted.slice(0, rowsMax).map((partition) => [
      partition.topic, partition.partition, replicas(partition, down), partition.term,
      partition.is_here ? partition.start_offset : "–",
      partition.is_here ? partition.committed_offset : "–",
      partition.role === "leader"
        ? lacked(partition.followers) : "",
      pill(stateClass[partition.state], partition.state), partition.why]),
    seen.partitions.length ? "None is like that." : "There are no partitions yet.");
}

const groupClass = { "Stable": "good", "Empty": "", "PreparingRebalance": "warn",
                     "CompletingRebalance": "warn" };

function showGroups() {
  byId("groups-note").textContent = seen.groupsNote;
  table(byId("groups"),
    [["Group", "mono"], ["State"], ["Coordinated by"], ["Members", "number"], ["Assignor"], ["Generation", "number"],
     ["Lag", "number"], ["While this page is open"], ["By topic", "wide"]],
    seen.groups.slice(0, rowsMax).map((group) => [
      group.id, pill(groupClass[group.state] || "", group.state),
      make("span", { class: "node" }, String(group.node)), group.members.length,
      group.protocol || "–", group.generation, count(lagOf(group)),
      sparkline(seen.lags.get(group.id) || []),
      group.topics.map((topic) => topic.topic + " " + count(topic.lag)
        + (topic.partitions_unknown ? " (" + topic.partitions_unknown + " unknown)" : "")).join(", ")]),
    "There are no groups.");
}

// ---- The page itself ----

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function begin() {
  window.addEventListener("error", (event) => { document.body.dataset.errors = event.message; });
  const asked = /theme=(light|dark)/.exec(location.hash);
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  chooseTheme(asked ? asked[1] : localStorage.getItem("theme") || system);
  byId("theme").addEventListener("click", () => {
    const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", other);
    chooseTheme(other);
  });
  const topic = /topic=([^&]*)/.exec(location.hash);
  if (topic) byId("filter").value = decodeURIComponent(topic[1]);
  for (const id of ["filter", "only", "inner"])
    byId(id).addEventListener("input", () => { if (seen.cluster) showPartitions(); });
  byId("who").addEventListener("input", () => { if (seen.cluster) showHistory(); });
  setInterval(() => {
    byId("age").textContent = seen.answeredAt
      ? "as of " + lasting(Date.now() - seen.answeredAt) + " ago" : "";
  }, 500);
  const loop = async () => {
    if (!document.hidden || !seen.cluster) await refresh();
    setTimeout(loop, refreshMs);
  };
  loop();
}
begin();
