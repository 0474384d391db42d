// What the browser tests ask of a page. An expression: its value is the checks by name.
(() => {
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  // rgba reads any colour that CSS can write.
  function rgba(css) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  }
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ancestors = (e) => (e ? [...ancestors(e.parentElement), e] : []);
  // behind is what an element's text stands on, from the root inwards.
  const behind = (e) => ancestors(e).reduce((c, p) => over(rgba(getComputedStyle(p).backgroundColor), c), rgba("Canvas"));
  function luminance(c) {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  const ratio = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const near = (a, b) => b[3] > 0.8 && a.slice(0, 3).every((v, i) => Math.abs(v - b[i]) < 10);
  // custom is a colour of the style sheet as the theme at work has it.
  function custom(name) {
    const e = document.body.appendChild(document.createElement("i"));
    e.style.color = `var(--${name})`;
    const c = rgba(getComputedStyle(e).color);
    e.remove();
    return c;
  }

  // dotsOf reads a copy: reading a canvas itself makes a browser warn.
  function dotsOf(canvas) {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data;
  }

  return {
    // contrast lists the texts that stand out by less than least from what is behind them.
    contrast(least) {
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const pale = new Set();
      let seen = 0;
      while (texts.nextNode()) {
        const e = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !shown(e) || e.closest(".quiet, script, style, option")) continue;
        const ground = behind(e);
        const ink = rgba(getComputedStyle(e).color);
        ink[3] *= ancestors(e).reduce((o, p) => o * getComputedStyle(p).opacity, 1);
        const r = ratio(over(ink, ground), ground);
        if (r < least) pale.add(`${texts.currentNode.data.trim().slice(0, 30)} (${e.tagName} ${e.className}): ${r.toFixed(2)}`);
        seen++;
      }
      return seen === 0 ? ["no text was seen"] : [...pale];
    },

    ground: () => luminance(behind(document.body)),

    // sideways lists what stands out of the window to the right, and is no scroller's.
    sideways() {
      const wide = document.documentElement.clientWidth;
      return document.documentElement.scrollWidth <= wide ? [] : [...document.body.querySelectorAll("*")]
        .filter((e) => shown(e) && !e.closest(".scroll") && e.getBoundingClientRect().right > wide + 1).map((e) => `${e.tagName} ${e.className}`);
    },

    // charts says of each chart how much of it is drawn and what its legend reads.
    charts: () => [...document.querySelectorAll("[data-chart]")].map((figure) => {
      const chart = JSON.parse(figure.querySelector("script").textContent);
      const canvas = figure.querySelector("canvas");
      const dots = canvas ? dotsOf(canvas) : [];
      const rows = [...figure.querySelectorAll(".u-legend .u-series")];
      const read = (row) => ({ label: row.querySelector("th").textContent, value: row.querySelector(".u-value").textContent });
      return {
        values: chart.x.length, stacked: !!chart.stacked,
        day: rows.length ? read(rows[0]).value : "",
        series: chart.series.map((s) => {
          const paint = custom(s.color);
          let painted = 0;
          for (let i = 0; i < dots.length; i += 4) if (near(paint, [dots[i], dots[i + 1], dots[i + 2], dots[i + 3] / 255])) painted++;
          const row = rows.find((r) => read(r).label === s.label);
          return {
            label: s.label, painted, known: s.values.filter((v) => v != null).length, sum: s.values.reduce((sum, v) => sum + (v ?? 0), 0),
            legend: row ? read(row).value : "", marked: !!row && near(paint, rgba(getComputedStyle(row.querySelector(".u-marker")).backgroundColor)),
          };
        }),
      };
    }),

    // stops are what the Tab key has to reach, kept for at.
    stops() {
      window.stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
        .filter((e) => shown(e) && !e.disabled && e.type !== "hidden");
      return window.stops.map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 20) || e.name || ""}`);
    },

    // at is the number of the stop that has the focus, and whether one sees that.
    at() {
      const e = document.activeElement, style = getComputedStyle(e);
      return { stop: window.stops.indexOf(e), seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1, body: e === document.body };
    },
  };
})()
