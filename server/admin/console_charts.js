
// ---- Charts: lines in SVG, newest at the right ----

const momentsMax = 150;
const svg = (tag, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

function path(values, top, width, height, room) {
  const first = room - values.length;
  return values.map((value, i) =>
    (i ? "L" : "M") + ((first + i) / Math.max(room - 1, 1) * width).toFixed(2) + " "
    + (height - value / (top || 1) * height).toFixed(2)).join("");
}

function sparkline(values) {
  const drawing = svg("svg", { class: "spark", viewBox: "0 0 90 20", preserveAspectRatio: "none",
                               "aria-hidden": "true" });
  if (values.length > 1) {
    const room = Math.max(values.length, 30);
    drawing.append(svg("path", { class: "line", d: path(values, Math.max(...values), 90, 19, room) }));
  }
  return drawing;
}

// What is drawn: a name, one or two series of the moments, and how to say a value.
const perSecond = (name) => (moment, ms) => moment[name] * 1000 / ms;
const charts = [
  { name: "Records written per second", say: count, series: [["", perSecond("records_written")]] },
  { name: "Bytes per second", say: bytes,
    series: [["in", perSecond("bytes_in")], ["out", perSecond("bytes_out")]] },
  { name: "Time to write", say: micros,
    series: [["median", (moment) => moment.produce_p50_us], ["99 %", (moment) => moment.produce_p99_us]] },
  { name: "Requests per second", say: count,
    series: [["all", perSecond("requests")], ["errors", perSecond("errors")]] },
  { name: "What followers lack, in batches", say: count, series: [["", (moment) => moment.entries_behind]] },
  { name: "Clients connected", say: count, series: [["", (moment) => moment.connections]] },
];

// A round number that is no less, so that the scale does not jump all the time.
function roundUp(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function showValues(chart, element, moments, ms, at) {
  const moment = moments[at];
  const parts = chart.series.flatMap(([name, value], i) => [
    make("span", { class: i ? "b" : "a" }, moment ? chart.say(value(moment, ms)) : "–"),
    name ? make("i", {}, " " + name + (i + 1 < chart.series.length ? "  " : "")) : ""]);
  element.querySelector(".now").replaceChildren(...parts);
  element.querySelector(".when").textContent = !moment ? "" : at === moments.length - 1 ? "now"
    : new Date(moment.at_ms).toLocaleTimeString();
}

function showCharts(container, moments, ms) {
  if (container.children.length === 0)
    container.append(...charts.map((chart) => makeChart(chart)));
  charts.forEach((chart, i) => drawChart(chart, container.children[i], moments, ms));
  document.body.dataset.moments = moments.length;
}

function makeChart(chart) {
  const element = make("div", { class: "chart" },
    make("div", { class: "head" }, make("span", { class: "name" }, chart.name),
         make("span", { class: "now" })),
    svg("svg", { viewBox: "0 0 300 72", preserveAspectRatio: "none", role: "img",
                 "aria-label": chart.name }),
    make("div", { class: "foot" }, make("span", { class: "top" }), make("span", { class: "when" })));
  const drawing = element.querySelector("svg");
  drawing.addEventListener("mousemove", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = Math.round((event.clientX - box.left) / box.width * (momentsMax - 1));
    element.at = place;
    drawChart(chart, element, seen.history, seen.interval);
  });
  drawing.addEventListener("mouseleave", () => {
    element.at = undefined;
    drawChart(chart, element, seen.history, seen.interval);
  });
  return element;
}

function drawChart(chart, element, moments, ms) {
  const all = chart.series.map(([, value]) => moments.map((moment) => value(moment, ms)));
  const top = roundUp(Math.max(1, ...all.flat()));
  const drawing = element.querySelector("svg");
  const parts = [svg("line", { class: "base", x1: 0, x2: 300, y1: 71.5, y2: 71.5 })];
  if (moments.length > 0) {
    const from = (momentsMax - moments.length) / (momentsMax - 1) * 300;
    const area = path(all[all.length - 1], top, 300, 71, momentsMax);
    if (all.length === 1)
      parts.push(svg("path", { class: "area", d: area + "L300 71L" + from.toFixed(2) + " 71Z" }));
    all.forEach((values, i) => parts.push(
      svg("path", { class: i ? "line b" : "line", d: path(values, top, 300, 71, momentsMax) })));
  }
  const at = element.at === undefined ? moments.length - 1
    : element.at - (momentsMax - moments.length);
  if (element.at !== undefined && moments[at]) {
    const x = (element.at / (momentsMax - 1) * 300).toFixed(2);
    parts.push(svg("line", { class: "cross", x1: x, x2: x, y1: 0, y2: 71 }));
  }
  drawing.replaceChildren(...parts);
  element.querySelector(".top").textContent = "up to " + chart.say(top);
  showValues(chart, element, moments, ms, at);
}
