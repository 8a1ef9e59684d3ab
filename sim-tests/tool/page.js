'use strict';
// A run, drawn. D.rows is what happened (page.h says what their keys mean); everything else here is
// made of them. Rows are drawn on one canvas; what was drawn last is kept for finding out what was
// clicked. The address of the page after # says which event is selected, and the filters.
const D = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const FIRST_CLIENT = 1000, LABEL = 92, TOP = 26, STRIP = 13, DISK = 8, EVENTS = 12, GAP = 8;
const errors = [];
window.addEventListener('error', e => {
  errors.push(e.message);
  document.body.dataset.errors = errors.join('; ');
});

// ---- What there is ----

const CLASSES = [ // Name, colour, kinds.
  ['messages', '--message', ['sent', 'delivered', 'dropped', 'stream', 'reset']],
  ['clients', '--stored', ['produce', 'fetch']],
  ['replicas', '--candidate', ['replica']],
  ['faults', '--fault', ['fault', 'link blocked', 'link healed']],
  ['processes', '--process', ['boot', 'exit', 'kill', 'power cut', 'pause', 'resume', 'note',
    'finding']],
  ['disk', '--sync', ['disk', 'kv']],
  ['log', '--log', ['log']],
];
const classOf = new Map();
for (const [name, , kinds] of CLASSES) for (const k of kinds) classOf.set(k, name);
const FAULTS = new Set(['fault', 'link blocked', 'kill', 'power cut', 'pause', 'exit']);

const rows = D.rows;
if (D.exit_code !== 0)
  rows.push({k: 'finding', s: D.step, t: D.time, x: D.oracle + ': ' + D.detail});
rows.forEach((r, i) => { r.o = i; });
const rank = r => r.k === 'finding' ? 1 : 0;
rows.sort((a, b) => a.t - b.t || rank(a) - rank(b) || a.o - b.o);
{
  let step = 0;
  const seen = new Map();
  rows.forEach((r, i) => {
    r.o = i;
    if (r.s === 0) r.s = step; // A client's request: the step that it came after.
    step = Math.max(step, r.s);
    const n = seen.get(r.s) || 0;
    r.name = n === 0 ? String(r.s) : r.s + '.' + n;
    seen.set(r.s, n + 1);
    if (r.n === undefined) r.n = 0;
  });
}
const byName = new Map(rows.map(r => [r.name, r]));
const finding = rows.find(r => r.k === 'finding');
const END = rows.reduce((m, r) => Math.max(m, r.t, r.k === 'fetch' ? r.u : 0), D.time);

const nodes = [...new Set(rows.map(r => r.n).concat(rows.filter(r => r.p).map(r => r.p)))]
  .filter(n => n > 0).sort((a, b) => a - b);
const brokers = nodes.filter(n => n < FIRST_CLIENT);
const groups = [...new Set(rows.filter(r => r.k === 'replica').map(r => r.g))]
  .sort((a, b) => a - b);
const nameOf = n => n === 0 ? 'world' : n < FIRST_CLIENT ? 'node ' + n : 'client ' + n;

// ---- What lasts: processes, pauses, links that are cut, what replicas are ----

const ups = new Map(nodes.map(n => [n, []])), pauses = new Map(nodes.map(n => [n, []]));
const cuts = new Map(nodes.map(n => [n, []])), stands = new Map();
const messages = [];
{
  const under = new Map(), cut = new Map(), said = new Map();
  for (const r of rows) {
    const ended = r.k === 'kill' || r.k === 'power cut' || r.k === 'exit';
    if (r.k === 'boot') ups.get(r.n).push({from: r.t, to: END, boot: r});
    if (ended && ups.has(r.n)) {
      const last = ups.get(r.n).at(-1);
      if (last && last.to === END) Object.assign(last, {to: r.t, how: r});
      const paused = pauses.get(r.n).at(-1);
      if (paused && paused.to > r.t) paused.to = r.t;
      for (const g of groups) {
        const stand = under.get(r.n + '/' + g);
        if (stand && stand.to === END) stand.to = r.t;
      }
    }
    if (r.k === 'pause') pauses.get(r.n).push({from: r.t, to: r.u});
    if (r.k === 'resume' && pauses.get(r.n).length) {
      const paused = pauses.get(r.n).at(-1);
      paused.to = Math.min(paused.to, r.t);
    }
    if (r.k === 'link blocked') {
      const c = {from: r.t, to: END, peer: r.p};
      cuts.get(r.n).push(c);
      cut.set(r.n + '>' + r.p, c);
    }
    if (r.k === 'link healed' && cut.has(r.n + '>' + r.p)) cut.get(r.n + '>' + r.p).to = r.t;
    if (r.k === 'replica') {
      const key = r.n + '/' + r.g, last = under.get(key);
      if (last && last.to === END) last.to = r.t;
      const stand = {from: r.t, to: END, row: r};
      under.set(key, stand);
      if (!stands.has(key)) stands.set(key, []);
      stands.get(key).push(stand);
    }
    const key = r.n + '>' + r.p + '#' + r.i;
    if (r.k === 'sent') { messages.push(r); said.set(key, r); }
    if (r.k === 'dropped' && said.has(key)) { said.get(key).lost = r; r.of = said.get(key); }
    if (r.k === 'delivered') {
      const from = said.get(r.p + '>' + r.n + '#' + r.i);
      if (from) {
        from.arrives = r;
        r.of = from;
        r.x = from.x;
        r.g = from.g;
      }
    }
  }
}

// ---- What is shown ----

const shown = {off: new Set(['log']), node: '', group: '', words: ''};
const view = {x0: 0, x1: 1, y: 0, order: false};
let selected = null, visible = [];

function filter() {
  const words = shown.words.toLowerCase();
  visible = rows.filter(r => {
    if (r.k === 'finding') return true;
    if (shown.off.has(classOf.get(r.k))) return false;
    if (shown.node && r.n !== +shown.node && r.p !== +shown.node) return false;
    if (shown.group && r.g !== undefined && r.g !== +shown.group) return false;
    if (words && !(r.k + ' ' + (r.x || '') + ' ' + (r.r || '')).toLowerCase().includes(words))
      return false;
    return true;
  });
  for (const r of rows) r.seen = false;
  for (const r of visible) r.seen = true;
  let place = 0; // What is not shown takes no room on the axis of events.
  for (const r of rows) r.q = r.seen ? place++ : place;
  $('count').textContent = visible.length + ' of ' + rows.length + ' events shown' +
    (D.left_out > 0 ? '; ' + D.left_out + ' before ' + when(D.window) + ' or after are not here'
      : '');
}
const shownGroups = () => shown.group ? [+shown.group] : groups;
function lanes() {
  const list = [];
  let y = TOP - view.y;
  for (const n of [0, ...nodes]) {
    if (shown.node && n !== +shown.node && n !== 0 &&
        !messages.some(m => m.seen && (m.n === n || m.p === n))) continue;
    const strips = n > 0 && n < FIRST_CLIENT
      ? shownGroups().filter(g => stands.has(n + '/' + g)) : [];
    const height = n === 0 ? 14 : EVENTS * 2 + strips.length * STRIP +
      (n < FIRST_CLIENT ? DISK + 4 : 0);
    list.push({n, y, height, strips, mid: y + EVENTS});
    y += height + GAP;
  }
  list.total = y + view.y;
  return list;
}

// ---- Axis: nanoseconds, or one step for each event that is shown ----

function indexAt(t) { // How many rows lie before t.
  let low = 0, high = rows.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (rows[mid].t < t) low = mid + 1; else high = mid;
  }
  return low;
}
const place = r => view.order ? r.q : r.t;
const placeOf = t => !view.order ? t : t >= END ? visible.length : rows[indexAt(t)].q;
const domain = () => view.order ? [0, visible.length] : [rows.length ? rows[0].t : 0, END];
let width = 800, height = 600;
const X = v => LABEL + (v - view.x0) / (view.x1 - view.x0) * (width - LABEL);
function when(t) {
  return (t / 1e9).toFixed(9).replace(/(\.\d{3})(\d{3})(\d{3})/, '$1 $2 $3') + ' s';
}
function span(ns) {
  return ns < 1e3 ? ns + ' ns' : ns < 1e6 ? (ns / 1e3).toFixed(1) + ' \u00b5s'
    : ns < 1e9 ? (ns / 1e6).toFixed(2) + ' ms' : (ns / 1e9).toFixed(2) + ' s';
}

// ---- Drawing ----

const canvas = $('canvas'), pen = canvas.getContext('2d');
let colours = {}, hits = [];
function takeColours() {
  const style = getComputedStyle(document.documentElement);
  colours = new Proxy({}, {get: (seen, name) =>
    seen[name] || (seen[name] = style.getPropertyValue('--' + name).trim())});
}
function box(x0, x1, y, h, colour, least = 1) {
  const from = Math.max(x0, LABEL), to = Math.min(x1, width);
  if (to < LABEL || from > width) return false;
  pen.fillStyle = colour;
  pen.fillRect(from, y, Math.max(to - from, least), h);
  return true;
}
function words(text, x, y, colour, room) {
  if (room !== undefined && pen.measureText(text).width > room) return;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}
function point(x, y, colour, shape, size = 4) {
  pen.fillStyle = pen.strokeStyle = colour;
  pen.beginPath();
  if (shape === 'diamond') {
    pen.moveTo(x, y - size); pen.lineTo(x + size, y); pen.lineTo(x, y + size);
    pen.lineTo(x - size, y);
    pen.fill();
  } else if (shape === 'cross') {
    pen.lineWidth = 1.6;
    pen.moveTo(x - size, y - size); pen.lineTo(x + size, y + size);
    pen.moveTo(x - size, y + size); pen.lineTo(x + size, y - size);
    pen.stroke();
    pen.lineWidth = 1;
  } else {
    pen.arc(x, y, size, 0, 7);
    pen.fill();
  }
}
const hue = term => (term * 67 + 200) % 360;
function roleColour(r) {
  if (r.r === 'leader') return `hsl(${hue(r.m)} 65% ${colours['leader-light']})`;
  if (r.r === 'follower') return `hsl(${hue(r.m)} 45% ${colours['follower-light']})`;
  return colours.candidate;
}

function drawAxis() {
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, width, TOP - 4);
  const wanted = Math.max(2, Math.floor((width - LABEL) / 150));
  const raw = (view.x1 - view.x0) / wanted, ten = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, ten * (raw / ten > 5 ? 10 : raw / ten > 2 ? 5 : raw / ten > 1 ? 2 : 1));
  pen.strokeStyle = colours.line;
  for (let v = Math.ceil(view.x0 / step) * step; v < view.x1; v += step) {
    const x = X(v);
    pen.beginPath(); pen.moveTo(x, TOP - 6); pen.lineTo(x, height); pen.stroke();
    const row = view.order ? visible[Math.round(v)] : null;
    words(view.order ? (row ? '#' + row.s : '')
      : (v / 1e9).toFixed(Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(step))))) + ' s',
    x + 3, 12, colours.soft);
  }
}

function drawLane(lane) {
  const {n, y} = lane;
  if (n === 0) return;
  box(LABEL, width, y, lane.height, colours.down);
  for (const up of ups.get(n)) box(X(placeOf(up.from)), X(placeOf(up.to)), y, lane.height,
    colours.up);
  for (const p of pauses.get(n)) box(X(placeOf(p.from)), X(placeOf(p.to)), y, lane.height,
    colours.pause);
  let below = y + EVENTS * 2;
  for (const g of lane.strips) {
    for (const s of stands.get(n + '/' + g)) {
      const x0 = X(placeOf(s.from)), x1 = X(placeOf(s.to)), r = s.row;
      if (shown.off.has('replicas') || !box(x0, x1, below, STRIP - 2, roleColour(r), 0.5)) continue;
      const left = Math.max(x0, LABEL) + 3, room = Math.min(x1, width) - left - 2;
      if (x0 > LABEL) box(x0, x0 + 1, below, STRIP - 2, colours.back);
      const ink = r.r === 'follower' ? colours['on-follower'] : colours['on-leader'];
      const log = ' term ' + r.m + '  c' + r.c + ' d' + r.d + ' e' + r.e;
      if (room > 12)
        for (const t of [`g${g} ${r.r}${log}`, `g${g} ${r.r[0]}${r.m} c${r.c} d${r.d} e${r.e}`,
          r.r[0].toUpperCase() + r.m])
          if (pen.measureText(t).width <= room) { words(t, left, below + 9, ink); break; }
      hits.push({row: r, x0: Math.max(x0, LABEL), x1, y0: below, y1: below + STRIP});
    }
    below += STRIP;
  }
  if (n < FIRST_CLIENT) lane.disk = below + 2;
  let offset = 0;
  if (!shown.off.has('faults')) for (const c of cuts.get(n)) {
    box(X(placeOf(c.from)), X(placeOf(c.to)), y + lane.height - 2 - offset % 3 * 2, 2,
      colours.lost);
    offset++;
  }
}

function drawMessage(m, at, after) {
  const from = at.get(m.n), to = at.get(m.p);
  if (!from || !to) return;
  const end = m.arrives || m.lost, x0 = X(place(m));
  const x1 = m.arrives ? X(place(m.arrives)) : end ? X(place(end)) : x0 + 40;
  if (Math.max(x0, x1) < LABEL || Math.min(x0, x1) > width) return;
  const marked = m === selected || m.arrives === selected || m.lost === selected;
  const down = to.mid > from.mid ? 1 : -1;
  const y0 = from.mid + down * 3;
  const y1 = m.arrives ? to.mid - down * 3 : from.mid + (to.mid - from.mid) * 0.4;
  pen.strokeStyle = pen.fillStyle = marked ? colours.select : m.arrives ? colours.message
    : colours.lost;
  pen.lineWidth = marked ? 2.2 : m.x ? 1 : 0.6;
  // Of a group that was asked for, the others are only the background.
  pen.globalAlpha = shown.group && m.g === undefined && !marked ? 0.35 : 1;
  pen.setLineDash(m.arrives ? [] : [3, 3]);
  pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke();
  pen.setLineDash([]);
  const angle = Math.atan2(y1 - y0, x1 - x0);
  if (m.arrives) {
    pen.beginPath(); pen.moveTo(x1, y1);
    for (const turn of [2.7, -2.7])
      pen.lineTo(x1 + 7 * Math.cos(angle + turn), y1 + 7 * Math.sin(angle + turn));
    pen.fill();
  } else {
    point(x1, y1, pen.strokeStyle, 'cross', 3);
  }
  pen.lineWidth = 1;
  hits.push({row: m, line: [x0, y0, x1, y1]});
  if (pen.globalAlpha < 1) { pen.globalAlpha = 1; return; }
  // Its words, as far as there is room before the next one of this lane.
  if (!m.x || x0 < LABEL - 200 || x0 > width) return;
  const next = after.get(m);
  const room = (next ? Math.max(X(place(next)), LABEL) : width) - Math.max(x0, LABEL) - 8;
  if (room < 36 && !marked) return;
  let text = m.x;
  const letters = Math.floor(Math.max(room, marked ? 260 : 0) / 5.6);
  if (text.length > letters) text = text.slice(0, letters - 1) + '\u2026';
  words(text, Math.max(x0, LABEL) + 4, down > 0 ? from.mid + 11 : from.mid - 4,
    marked ? colours.select : colours.soft);
}

// Who was never answered waited until its process ended.
function endOf(r) {
  const up = ups.get(r.n).find(u => u.from <= r.t && u.to >= r.t);
  return up ? up.to : END;
}
function drawRow(r, at) {
  const lane = at.get(r.n), x = X(place(r));
  if (!lane) return;
  if (r.k === 'produce' || r.k === 'fetch') {
    const end = r.u === undefined ? endOf(r) : r.u, x1 = X(placeOf(end));
    const colour = colours[{stored: 'stored', refused: 'refused', read: 'read'}[r.r] || 'open'];
    if (!box(x, x1, lane.y + 2, EVENTS * 2 - 4, colour, 2)) return;
    if (r === selected) { pen.strokeStyle = colours.select; pen.strokeRect(x, lane.y + 1,
      Math.max(x1 - x, 2), EVENTS * 2 - 2); }
    const left = Math.max(x, LABEL) + 3;
    words(r.x, left, lane.mid + 4, colours.back, Math.min(x1, width) - left - 2);
    hits.push({row: r, x0: Math.max(x, LABEL), x1: Math.max(x1, x + 2), y0: lane.y,
      y1: lane.y + EVENTS * 2});
    return;
  }
  if (r.k === 'disk' || r.k === 'kv') {
    const from = r.b === undefined ? x : X(placeOf(r.b));
    const sync = r.k === 'kv' || r.x.startsWith('sync') || r.x.startsWith('write');
    if (!box(from, x, lane.disk, DISK, r.x.includes('error') ? colours.fault
      : sync ? colours.sync : colours.disk)) return;
    words((r.k === 'kv' ? 'kv ' : '') + r.x, Math.max(from, LABEL) + 2, lane.disk + DISK,
      colours.back, x - Math.max(from, LABEL) - 4);
    hits.push({row: r, x0: Math.max(from, LABEL), x1: Math.max(x, from + 2), y0: lane.disk,
      y1: lane.disk + DISK});
    return;
  }
  if (x < LABEL || x > width) return;
  const big = r === selected ? 6 : 4;
  if (r.k === 'fault' || r.k === 'kill' || r.k === 'power cut' || r.k === 'link blocked')
    point(x, lane.mid, colours.fault, r.k === 'fault' || r.k === 'link blocked' ? 'diamond'
      : 'cross', big);
  else if (r.k === 'boot' || r.k === 'exit' || r.k === 'pause' || r.k === 'resume')
    point(x, lane.mid, colours.process, 'dot', big - 1);
  else if (r.k === 'log' || r.k === 'note' || r.k === 'link healed')
    point(x, r.n ? lane.mid : lane.y + 7, colours.log, 'dot', 2);
  else if (r.k === 'reset') point(x, lane.mid, colours.lost, 'cross', 3);
  else return;
  hits.push({row: r, x, y: r.n ? lane.mid : lane.y + 7});
}

function mark(x, colour, text, dash) {
  if (x < LABEL || x > width) return;
  pen.strokeStyle = colour;
  pen.setLineDash(dash);
  pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(x, TOP - 4); pen.lineTo(x, height); pen.stroke();
  pen.setLineDash([]);
  pen.lineWidth = 1;
  const room = pen.measureText(text).width;
  const left = Math.min(Math.max(LABEL, x + 4), width - room - 6);
  pen.fillStyle = colours.back;
  pen.fillRect(left - 2, TOP - 5, room + 4, 14);
  words(text, left, TOP + 6, colour);
}

function draw() {
  const ratio = devicePixelRatio || 1, size = canvas.getBoundingClientRect();
  width = Math.max(300, size.width);
  height = Math.max(200, size.height);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
  pen.fillStyle = colours.back;
  pen.fillRect(0, 0, width, height);
  hits = [];
  drawAxis();
  const list = lanes(), at = new Map(list.map(lane => [lane.n, lane]));
  draw.total = list.total;
  list.forEach(drawLane);
  if (!shown.off.has('messages')) {
    const last = new Map(), after = new Map();
    for (const m of messages) {
      if (!m.seen || !m.x || (shown.group && m.g === undefined)) continue;
      const key = m.n + (m.p > m.n ? '+' : '-');
      if (last.has(key)) after.set(last.get(key), m);
      last.set(key, m);
    }
    for (const m of messages) if (m.seen) drawMessage(m, at, after);
  }
  for (const r of visible)
    if (r.k !== 'sent' && r.k !== 'delivered' && r.k !== 'replica') drawRow(r, at);
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, LABEL - 1, height);
  for (const lane of list) {
    words(nameOf(lane.n), 8, lane.n ? lane.mid + 4 : lane.y + 11, colours.text);
    lane.strips.forEach((g, i) =>
      words('group ' + g, 16, lane.y + EVENTS * 2 + i * STRIP + 9, colours.soft));
    if (lane.disk) words('disk', 16, lane.disk + DISK, colours.soft);
  }
  if (selected && selected !== finding)
    mark(X(place(selected)), colours.select, '#' + selected.name, [2, 3]);
  if (finding) mark(X(place(finding)), colours.fault, finding.x, []);
}
let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}


