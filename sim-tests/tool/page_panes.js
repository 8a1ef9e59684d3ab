// The panes beside the drawing, the filters, the mouse and the keys. Follows page.js.

// ---- Panes ----

const text = (tag, content, attributes = {}) => {
  const e = Object.assign(document.createElement(tag), attributes);
  e.textContent = content;
  return e;
};
function table(lines) {
  const t = document.createElement('table');
  for (const [name, value, tag] of lines) {
    if (value === undefined || value === '') continue;
    const tr = t.insertRow();
    tr.append(text('th', name));
    tr.insertCell().append(tag ? text(tag, value) : value);
  }
  return t;
}
function showDetails() {
  const r = selected, pane = $('details');
  pane.replaceChildren();
  if (!r) { pane.textContent = 'Click an event, or use the keys.'; return; }
  const m = r.k === 'sent' ? r : r.of;
  const ended = r.k === 'produce' || r.k === 'fetch';
  pane.append(table([
    ['event', r.name], ['time', when(r.t)], ['kind', r.k],
    ['where', r.p && r.k !== 'stream' ? nameOf(r.n) + (r.k === 'delivered' ? ' \u2190 ' : ' \u2192 ')
      + nameOf(r.p) : nameOf(r.n)],
    ['group', r.g],
    ['says', r.x, 'code'],
    ['bytes', r.z],
    ['sent', m && m !== r ? when(m.t) + ', event ' + m.name : ''],
    ['arrives', m && m.arrives && m.arrives !== r
      ? when(m.arrives.t) + ', event ' + m.arrives.name + ', after ' + span(m.arrives.t - m.t) : ''],
    ['lost', r.k === 'sent' && !r.arrives ? (r.lost ? when(r.lost.t)
      : 'has not arrived by the end of this page') : ''],
    ['began', r.b === undefined ? '' : when(r.b) + ', took ' + span(r.t - r.b)],
    [ended ? 'answer' : 'until', r.u === undefined ? (ended ? 'none' : '')
      : when(r.u) + ', after ' + span(r.u - r.t)],
    ['outcome', ended ? r.r : ''],
    ['role', r.k === 'replica' ? r.r + ' in term ' + r.m + (r.v ? ', voted for ' + r.v : '') : ''],
    ['log', r.k === 'replica' ? `committed ${r.c}, durable ${r.d}, end ${r.e}` : ''],
    ['see it', D.replay + ' --until-event ' + r.s, 'code'],
  ]));
}
// What each replica had become by the selected event.
function showState() {
  const last = new Map(), up = new Map(), pane = $('state');
  const end = selected ? selected.o : rows.length - 1;
  for (let i = 0; i <= end; ++i) {
    const r = rows[i];
    if (r.k === 'boot') up.set(r.n, 'up');
    if (r.k === 'kill' || r.k === 'power cut' || r.k === 'exit') {
      up.set(r.n, 'down');
      for (const g of groups) last.delete(r.n + '/' + g);
    }
    if (r.k === 'replica') last.set(r.n + '/' + r.g, r);
  }
  const t = document.createElement('table');
  const head = t.insertRow();
  for (const h of ['', 'role', 'term', 'vote', 'commit', 'durable', 'end'])
    head.append(text('th', h));
  for (const g of shownGroups()) {
    const tr = t.insertRow();
    tr.className = 'group';
    tr.append(text('th', g === 0 ? 'group 0, the controller\u2019s' : 'group ' + g, {colSpan: 7}));
    for (const n of brokers) {
      const r = last.get(n + '/' + g);
      if (!r && !stands.has(n + '/' + g)) continue;
      const line = t.insertRow();
      line.append(text('th', nameOf(n)));
      if (!r) { line.append(text('td', up.get(n) === 'down' ? 'down' : '\u2013')); continue; }
      const has = brokers.filter(b => (last.get(b + '/' + g) || {d: -1}).d >= r.c).length;
      const of = brokers.filter(b => stands.has(b + '/' + g)).length;
      const early = r.r === 'leader' && has * 2 <= of;
      for (const [v, css] of [[r.r, r.r === 'leader' ? 'leads' : ''], [r.m], [r.v || '\u2013',
        /not durable/.test(r.v || '') ? 'bad' : ''], [r.c, early ? 'bad' : ''],
        [r.d, r.d < r.c ? 'bad' : ''], [r.e]])
        line.append(text('td', v, {className: css || ''}));
      if (early) line.cells[4].title = `only ${has} of ${of} say that they have it`;
    }
  }
  pane.replaceChildren(t);
}
let faultRows = [];
function showFaults() {
  faultRows = rows.filter(r => r.k === 'finding' || (FAULTS.has(r.k) &&
    !(r.k === 'exit' && r.x === 'ok') &&
    // These are many, and small.
    !(r.k === 'fault' && /^(split_write|short_read|slow_disk|fenced)/.test(r.x))));
  const pane = $('faults');
  pane.replaceChildren();
  const step = new Map();
  for (const r of faultRows) {
    // A partition cuts many links at once.
    const key = r.s + r.k;
    if (r.k === 'link blocked' && step.has(key)) {
      const a = step.get(key);
      a.textContent += `, ${r.n}\u2192${r.p}`;
      r.link = a;
      continue;
    }
    const words = r.k === 'link blocked' ? `links cut: ${r.n}\u2192${r.p}`
      : `${r.n ? nameOf(r.n) + ': ' : ''}${r.k === 'fault' ? '' : r.k + ' '}${r.x || ''}`;
    const a = text('a', `#${r.s} ${(r.t / 1e9).toFixed(4)} ${words}`, {href: '#e=' + r.name});
    if (r.k === 'finding') a.className = 'finding';
    a.addEventListener('click', e => { e.preventDefault(); select(r, true); });
    r.link = a;
    step.set(key, a);
    pane.append(a);
  }
}

// ---- Selecting; the address ----

function address() {
  const q = new URLSearchParams();
  if (selected) q.set('e', selected.name);
  for (const name of ['node', 'group', 'words']) if (shown[name]) q.set(name, shown[name]);
  const off = [...shown.off].sort().join(',');
  if (off !== 'log') q.set('off', off);
  if (!view.order) q.set('axis', 'time');
  history.replaceState(null, '', '#' + q);
}
function select(r, move) {
  if (selected && selected.link) selected.link.classList.remove('here');
  selected = r;
  if (r && r.link) {
    r.link.classList.add('here');
    r.link.scrollIntoView({block: 'nearest'});
  }
  if (r && move) {
    const v = place(r), wide = view.x1 - view.x0;
    if (v < view.x0 + wide * 0.05 || v > view.x1 - wide * 0.05) {
      view.x0 = v - wide / 2;
      view.x1 = v + wide / 2;
    }
    const lane = lanes().find(l => l.n === r.n);
    if (lane && r.n && (lane.y < TOP || lane.y + lane.height > height))
      view.y = Math.max(0, view.y + lane.y - height / 2);
  }
  showDetails();
  showState();
  address();
  document.body.dataset.selected = r ? r.name : '';
  redraw();
}
function fromAddress() {
  const q = new URLSearchParams(location.hash.slice(1));
  // What was found concerns one group: unless asked, only that.
  const about = finding && /\bgroup (\d+)/.exec(finding.x);
  if (!location.hash && about && groups.includes(+about[1])) q.set('group', about[1]);
  shown.off = new Set((q.has('off') ? q.get('off') : 'log').split(',').filter(Boolean));
  for (const name of ['node', 'group', 'words']) shown[name] = $(name).value = q.get(name) || '';
  for (const box of document.querySelectorAll('#kinds input'))
    box.checked = !shown.off.has(box.value);
  filter();
  view.order = q.get('axis') !== 'time';
  $('axis').textContent = view.order ? 'by event' : 'by time';
  // Any event's number will do: the next one that is here.
  const name = q.get('e');
  const asked = name && (byName.get(name) || rows.find(r => r.s >= +name));
  const start = asked || finding || rows.at(-1);
  if (start) focus(start);
  select(start || null, false);
}
// A view in which something can be seen: a few dozen messages before it.
function focus(r) {
  let all = 0, before = 0, i = r.o;
  while (i > 0 && before < 16 && all < 60) {
    --i;
    if (rows[i].k !== 'sent' || !rows[i].seen) continue;
    ++all;
    if (!shown.group || rows[i].g === +shown.group) ++before;
  }
  const from = place(rows[i]), wide = Math.max(place(r) - from, view.order ? 40 : 200_000);
  view.x0 = place(r) - wide;
  view.x1 = place(r) + wide * 0.12;
}
function zoom(factor, about = (view.x0 + view.x1) / 2) {
  const [first, end] = domain(), all = Math.max(1, end - first);
  const wide = Math.min(Math.max((view.x1 - view.x0) * factor, view.order ? 4 : 100), all * 1.1);
  const part = (about - view.x0) / (view.x1 - view.x0);
  view.x0 = about - wide * part;
  view.x1 = view.x0 + wide;
  redraw();
}
function everything() {
  const [first, end] = domain(), all = Math.max(1, end - first);
  view.x0 = first - all * 0.01;
  view.x1 = end + all * 0.03;
  view.y = 0;
  redraw();
}
function otherAxis() {
  const at = selected || finding || rows[0];
  view.order = !view.order;
  $('axis').textContent = view.order ? 'by event' : 'by time';
  if (at) focus(at); else everything();
  address();
  redraw();
}
function neighbour(list, forward) {
  if (!list.length) return;
  const o = selected ? selected.o : -1;
  const next = forward ? list.find(r => r.o > o) : list.findLast(r => r.o < o);
  if (next) select(next, true);
}

// ---- Mouse and keys ----

function hitAt(x, y) {
  let best = null, least = 8;
  for (const h of hits) {
    let d = 99;
    if (h.line) {
      const [x0, y0, x1, y1] = h.line, dx = x1 - x0, dy = y1 - y0;
      const along = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) /
        (dx * dx + dy * dy || 1)));
      d = Math.hypot(x - x0 - along * dx, y - y0 - along * dy) + 1;
    } else if (h.x0 !== undefined) {
      if (x >= h.x0 - 2 && x <= h.x1 + 2 && y >= h.y0 && y < h.y1) d = 4;
    } else {
      d = Math.hypot(x - h.x, y - h.y) / 1.5;
    }
    if (d < least) { least = d; best = h.row; }
  }
  return best;
}
let drag = null;
canvas.addEventListener('pointerdown', e => {
  drag = {x: e.offsetX, y: e.offsetY, x0: view.x0, x1: view.x1, top: view.y, far: false};
  canvas.setPointerCapture(e.pointerId);
  canvas.focus();
});
canvas.addEventListener('pointermove', e => {
  if (!drag) { canvas.style.cursor = hitAt(e.offsetX, e.offsetY) ? 'pointer' : ''; return; }
  const dx = e.offsetX - drag.x, dy = e.offsetY - drag.y;
  if (Math.abs(dx) + Math.abs(dy) > 4) drag.far = true;
  if (!drag.far) return;
  canvas.classList.add('moving');
  const by = dx / (width - LABEL) * (drag.x1 - drag.x0);
  view.x0 = drag.x0 - by;
  view.x1 = drag.x1 - by;
  scrollTo_(drag.top - dy);
});
canvas.addEventListener('pointerup', e => {
  if (drag && !drag.far) {
    const r = hitAt(e.offsetX, e.offsetY);
    if (r) select(r, false);
  }
  drag = null;
  canvas.classList.remove('moving');
});
function scrollTo_(y) {
  view.y = Math.max(0, Math.min(y, Math.max(0, (draw.total || 0) - height + 20)));
  redraw();
}
canvas.addEventListener('wheel', e => {
  e.preventDefault();
  if (e.shiftKey) return scrollTo_(view.y + (e.deltaY || e.deltaX));
  if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
    const by = e.deltaX / (width - LABEL) * (view.x1 - view.x0);
    view.x0 += by;
    view.x1 += by;
    return redraw();
  }
  const about = view.x0 + Math.max(0, e.offsetX - LABEL) / (width - LABEL) * (view.x1 - view.x0);
  zoom(Math.exp(Math.max(-120, Math.min(120, e.deltaY)) * 0.003), about);
}, {passive: false});

const toFinding = () => { if (finding) { focus(finding); select(finding, true); } };
const KEYS = {
  ArrowRight: e => neighbour(e.shiftKey && selected
    ? visible.filter(r => r.n === selected.n) : visible, true),
  ArrowLeft: e => neighbour(e.shiftKey && selected
    ? visible.filter(r => r.n === selected.n) : visible, false),
  n: () => neighbour(faultRows, true),
  N: () => neighbour(faultRows, false),
  f: toFinding,
  '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6),
  a: everything,
  t: otherAxis,
};
window.addEventListener('keydown', e => {
  if (e.target.tagName === 'INPUT' || e.target.tagName === 'SELECT' || e.ctrlKey || e.metaKey)
    return;
  const key = KEYS[e.key];
  if (key) { key(e); e.preventDefault(); }
});

// ---- Beginning ----

function changed() {
  filter();
  if (view.order && (selected || finding)) focus(selected || finding);
  address();
  showState();
  redraw();
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  takeColours();
  for (const i of document.querySelectorAll('#kinds i'))
    i.style.background = colours[i.dataset.colour.slice(2)];
  redraw();
}
function begin() {
  $('title').textContent = `Seed ${D.seed}, ${brokers.length} nodes, ` +
    `${nodes.length - brokers.length} clients, ${when(D.time)}, commit ${D.commit}`;
  document.title = `seed ${D.seed}` + (finding ? ': ' + D.oracle : '');
  $('finding').textContent = finding
    ? `${D.oracle} at event ${D.step}, ${when(D.time)}: ${D.detail}` : 'This run passed.';
  $('finding').classList.toggle('pass', !finding);
  $('plan').append(D.plan + ' \u00b7 ', text('code', D.replay));
  for (const [name, colour] of CLASSES) {
    const label = document.createElement('label');
    const box = Object.assign(document.createElement('input'), {type: 'checkbox', value: name});
    box.addEventListener('change', () => {
      if (box.checked) shown.off.delete(name); else shown.off.add(name);
      changed();
    });
    const swatch = document.createElement('i');
    swatch.dataset.colour = colour;
    label.append(box, swatch, name);
    $('kinds').append(label);
  }
  $('node').append(text('option', 'all', {value: ''}),
    ...nodes.map(n => text('option', nameOf(n), {value: n})));
  $('group').append(text('option', 'all', {value: ''}),
    ...groups.map(g => text('option', g, {value: g})));
  for (const name of ['node', 'group', 'words'])
    $(name).addEventListener('input', () => { shown[name] = $(name).value; changed(); });
  $('in').onclick = () => zoom(0.6);
  $('out').onclick = () => zoom(1 / 0.6);
  $('all').onclick = everything;
  $('jump').onclick = toFinding;
  $('axis').onclick = otherAxis;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  $('theme').onclick = () =>
    setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  showFaults();
  fromAddress();
  setTheme(dark.matches ? 'dark' : 'light');
  dark.addEventListener('change', () => setTheme(dark.matches ? 'dark' : 'light'));
  window.addEventListener('resize', redraw);
  window.addEventListener('hashchange', fromAddress);
  draw();
  document.body.dataset.drawn = hits.length;
  document.body.dataset.ready = 'yes';
}
begin();
