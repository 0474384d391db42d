// Draws each figure[data-chart] from the JSON inside it (see chart.go) with uPlot.
const plots = new Map();

function color(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}

function writer(chart) {
  const count = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
  const money = new Intl.NumberFormat("en-GB", { notation: "compact", maximumSignificantDigits: 3 });
  return (v) => {
    if (v == null) return "–";
    if (chart.unit === "percent") return (v * 100).toFixed(v < 0.1 && v > 0 ? 1 : 0) + "%";
    return chart.unit === "money" ? (chart.currency || "") + money.format(v) : count.format(v);
  };
}

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const shortDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

// stack turns values into running sums, the last series on top.
function stack(series) {
  let below = null;
  return series.map((s) => {
    below = s.values.map((v, i) => (v ?? 0) + (below ? below[i] : 0));
    return below;
  });
}

function options(chart, figure, write) {
  const soft = color("soft"), line = color("line");
  const last = chart.x.length - 1; // what a legend reads while no cursor is on the chart
  const font = "11px Inter, system-ui, sans-serif";
  const day1 = 86400;
  const bars = chart.series.some((s) => s.bars);
  const lo = chart.x[0], hi = chart.x[last];
  const margin = bars || lo === hi ? day1 / 2 : 0;
  return {
    width: figure.clientWidth, height: Number(figure.dataset.height), tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    padding: [8, 8, 0, 0],
    cursor: { sync: { key: chart.sync || figure.id }, points: { size: 7 }, y: false, drag: { x: false, y: false } },
    legend: { show: true, live: true, markers: { width: 0, fill: (plot, k) => plot.series[k].stroke(plot, k) } },
    scales: { x: { time: true, range: () => [lo - margin, hi + margin] }, y: { range: (_, min, max) => [Math.min(0, min ?? 0), chart.unit === "percent" ? Math.min(1, Math.max(0.1, (max ?? 1) * 1.15)) : Math.max(1, (max ?? 1) * 1.1)] } },
    axes: [
      { stroke: soft, font, grid: { show: false }, ticks: { show: false }, gap: 4, size: 26, space: 70, values: (_, splits) => splits.map((s) => shortDay.format(s * 1000)) , incrs: [1, 2, 7, 14, 28, 91, 182, 364].map((d) => d * day1) },
      { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, gap: 6, size: 52, space: 36, values: (_, splits) => splits.map(write) },
    ],
    series: [{ label: "Day", value: (_, v) => day.format((v ?? hi) * 1000) }].concat(chart.series.map((s, k) => {
      const c = color(s.color);
      return {
        label: s.label, stroke: c, width: chart.stacked ? 1 : 2, points: { show: chart.x.length < 3 },
        fill: chart.stacked ? c : c.replace(/^rgb\((.*)\)$/, "rgba($1, 0.10)"),
        paths: s.bars ? uPlot.paths.bars({ size: [0.7, 24], align: 0 }) : s.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        value: (_, v, __, i) => write(s.values[i ?? last]),
        order: k,
      };
    })),
    bands: chart.stacked && !bars ? chart.series.slice(1).map((_, k) => ({ series: [k + 2, k + 1] })) : [],
  };
}

// draw shows a chart and says by data-points how many values it has.
function draw(figure) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const write = writer(chart);
  plots.get(figure)?.destroy();
  let series = chart.series, values = chart.stacked ? stack(series) : series.map((s) => s.values);
  const o = options(chart, figure, write);
  if (chart.stacked && series.some((s) => s.bars)) { // the tallest first, so that the others stand before it
    o.series = [o.series[0], ...o.series.slice(1).reverse()];
    values = values.toReversed();
  }
  const plot = new uPlot(o, [chart.x, ...values], figure);
  plots.set(figure, plot);
  const known = series.reduce((n, s) => n + s.values.filter((v) => v != null).length, 0);
  figure.dataset.points = String(known);
  readByKeys(plot, chart, write);
}

// readByKeys makes a chart a slider over its days, which a screen reader follows.
function readByKeys(plot, chart, write) {
  const { root } = plot, last = chart.x.length - 1;
  const here = () => plot.cursor.idx ?? last;
  // go moves the cursors of all charts in step with this one; undefined: away.
  const go = (x) => [...plots.values()].filter((p) => p.cursor.sync.key === plot.cursor.sync.key)
    .forEach((p) => p.setCursor(x === undefined ? { left: -10, top: -10 } : { left: p.valToPos(x, "x"), top: 10 }));
  const say = () => {
    root.ariaValueNow = here();
    root.ariaValueText = `${day.format(chart.x[here()] * 1000)}: ${chart.series.map((s) => `${s.label} ${write(s.values[here()])}`).join(", ")}`;
  };
  Object.assign(root, { tabIndex: 0, role: "slider", ariaLabel: `Chart: ${chart.series.map((s) => s.label).join(", ")}, by day. A table of the values follows.`, ariaValueMin: 0, ariaValueMax: last });
  plot.hooks.setCursor = [say];
  say();
  root.addEventListener("keydown", (e) => {
    const to = { ArrowLeft: here() - 1, ArrowRight: here() + 1, Home: 0, End: last }[e.key];
    if (to === undefined || e.altKey || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    go(chart.x[Math.max(0, Math.min(last, to))]);
  });
  root.addEventListener("blur", () => go());
}

const resized = new ResizeObserver((entries) => {
  for (const e of entries) {
    const plot = plots.get(e.target);
    if (plot && plot.width !== e.target.clientWidth && e.target.clientWidth > 0) plot.setSize({ width: e.target.clientWidth, height: plot.height });
  }
});

export function drawAll() {
  for (const figure of document.querySelectorAll("[data-chart]")) {
    draw(figure);
    resized.observe(figure);
  }
}
