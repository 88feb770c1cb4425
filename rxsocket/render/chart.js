// Draws the lines of a plot on a canvas, of the points that the kernel sends: those that can be seen.

const CHART_HEIGHT = 300;
const FEW = 100; // points of a line that are drawn as dots, too
const DASHES = [[], [6, 4], [2, 3]]; // there are fewer colours than lines
const LEGEND =
  ".rx-chart .u-legend{font:12px system-ui,sans-serif;text-align:left;margin:0}" +
  ".rx-chart .u-legend th{font-weight:400}.rx-chart .u-series>*{padding:2px 4px}" +
  ".rx-chart .u-legend .u-marker{height:3px;border-radius:0}" +
  ".rx-chart .u-legend .u-value{min-width:6ch;font-variant-numeric:tabular-nums;text-align:left}" +
  ".rx-chart .u-legend .u-series:first-child .u-marker{display:none}" +
  ".rx-chart .u-select{background:rgba(127,127,127,.25)}" +
  ".rx-chart .u-cursor-x,.rx-chart .u-cursor-y{border-color:rgba(127,127,127,.7)}";

const contentOf = ({ model, viewer, together, made, button, isHeld }) => {
  const element = made("div", "position:relative;max-width:100%;overflow:hidden");
  const style = made("style", "", LEGEND);
  const place = made("div", `min-height:${CHART_HEIGHT + 40}px`);
  element.className = "rx-chart";
  place.setAttribute("role", "img");
  const whole = button("show all", "show all of the plot again (double-click)", () => zoom(null));
  whole.style.position = "absolute";
  whole.style.right = "4px";
  whole.style.top = "0";
  whole.style.zIndex = "1";
  whole.hidden = true;
  element.append(style, place, whole);

  let plot = null;
  let shape = "";
  let width = 0;
  let seen = null; // what was zoomed to: [begin, end]
  let hidden = new Set(); // names of lines that the user hid
  let lines = []; // the values of each line as uPlot has them, for the cursor

  const colour = (name, other) =>
    getComputedStyle(element).getPropertyValue(name).trim() || other;
  const ink = () => getComputedStyle(element).color;
  const faint = () => colour("--rx-grid", "rgba(127,127,127,.25)");

  const floats = (view) => {
    const begin = view.byteOffset ?? 0;
    return new Float64Array((view.buffer ?? view).slice(begin, begin + view.byteLength));
  };
  const table = ([x, y]) => [x, Array.from(y, (one) => (one === one ? one : null))];
  const rising = (x) => {
    // Points of one moment stand beside each other: uPlot has one place for each.
    for (let at = 1; at < x.length; at += 1) {
      if (x[at] <= x[at - 1]) x[at] = x[at - 1] + Math.max(Math.abs(x[at - 1]) * 5e-16, 1e-9);
    }
    return x;
  };

  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const moment = (seconds) => {
    const date = new Date(seconds * 1000);
    const ms = String(Math.floor((seconds * 1000) % 1000)).padStart(3, "0");
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
  };
  const times = (splits, step) => {
    let day = "";
    return splits.map((at) => {
      const date = new Date(at * 1000);
      const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
      const full = step < 60 ? `${clock}:${two(date.getSeconds())}` : clock;
      const today = date.toDateString();
      const text = step < 1 ? moment(at).slice(0, step < 0.1 ? 12 : 10) : full;
      const first = step >= 3600 && today !== day;
      day = today;
      return first ? `${date.getMonth() + 1}/${date.getDate()} ${text}` : text;
    });
  };

  const nearest = (u, series, index, x) => {
    // What was the value then: that of the last point of this line.
    if (series === 0) return index;
    const values = u.data[series];
    for (let at = index; at >= 0 && at > index - 5000; at -= 1) {
      if (values[at] === null) return null;
      if (values[at] !== undefined && u.data[0][at] <= x) return at;
    }
    return null;
  };

  const zoom = (range) => {
    seen = range;
    whole.hidden = !range;
    if (!plot) return;
    if (range) plot.setScale("x", { min: range[0], max: range[1] });
    else if (together.points) plot.setScale("x", spanOf(together.points.content));
    if (isHeld() || !together.points?.content.isTime) return;
    model.send({ kind: "zoom", last: range && range[1] - range[0], until: range && range[1] });
  };

  const options = (content) => ({
    width,
    height: CHART_HEIGHT,
    scales: { x: { time: content.isTime, range: (u, min, max) => [min, max] } },
    legend: { live: true },
    cursor: {
      dataIdx: nearest,
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => zoom(null) },
      points: { size: 6 },
    },
    hooks: {
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide < 4) return;
          const range = [u.posToVal(left, "x"), u.posToVal(left + wide, "x")];
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          zoom(range);
        },
      ],
      setSeries: [
        (u, index) => {
          if (!index || !u.series[index]) return;
          const { label, show } = u.series[index];
          if (show) hidden.delete(label);
          else hidden.add(label);
        },
      ],
    },
    axes: [
      {
        stroke: ink,
        grid: { stroke: faint, width: 1 },
        ticks: { stroke: faint, width: 1 },
        font: "12px system-ui,sans-serif",
        label: content.isTime ? undefined : content.x,
        labelFont: "12px system-ui,sans-serif",
        labelSize: 20,
        space: content.isTime ? 90 : 60,
        ...(content.isTime ? { values: (u, splits, axis, space, step) => times(splits, step) } : {}),
      },
      {
        stroke: ink,
        grid: { stroke: faint, width: 1 },
        ticks: { stroke: faint, width: 1 },
        font: "12px system-ui,sans-serif",
        label: content.y,
        labelFont: "12px system-ui,sans-serif",
        labelSize: 18,
        size: (u, values) => 16 + 7 * Math.max(3, ...(values ?? []).map((one) => String(one).length)),
      },
    ],
    series: [
      {
        label: content.isTime ? "time" : content.x,
        value: (u, at) => (at === null || at === undefined ? "" : content.isTime ? moment(at) : at),
      },
      ...content.names.map((name, number) => ({
        label: name,
        show: !hidden.has(name),
        stroke: content.colours[number % content.colours.length],
        dash: DASHES[Math.floor(number / content.colours.length) % DASHES.length],
        width: 1.5,
        spanGaps: false,
        value: (u, one) => (one === null || one === undefined ? "–" : String(one)),
        points: { show: (u, series) => (lines[series - 1]?.[0].length ?? 0) <= FEW, size: 5 },
      })),
    ],
  });

  const spanOf = ({ begin, end }) => ({ min: begin, max: end > begin ? end : begin + 1 });

  const draw = () => {
    if (!together.points || !width) return;
    const { content, buffers } = together.points;
    const arrays = buffers.map(floats);
    lines = content.names.map((_, number) => table([rising(arrays[2 * number]), arrays[2 * number + 1]]));
    const data = lines.length ? uPlot.join(lines) : [[]];
    const needed = JSON.stringify([content.names, content.isTime, content.x, content.y, together.held]);
    if (!plot || needed !== shape) {
      plot?.destroy();
      shape = needed;
      plot = new uPlot(options(content), data, place);
    }
    plot.batch(() => {
      plot.setData(data, false);
      const range = seen ? { min: seen[0], max: seen[1] } : spanOf(content);
      plot.setScale("x", range);
    });
    place.setAttribute("aria-label", `${model.get("title")}: lines ${content.names.join(", ")}`);
    place.dataset.points = lines.reduce((sum, [x]) => sum + x.length, 0);
    place.dataset.draws = Number(place.dataset.draws ?? 0) + 1;
  };

  const onMessage = (content, buffers) => {
    if (isHeld()) return;
    if (content?.kind === "points") {
      together.points = { content, buffers };
      draw();
    } else if (content?.kind === "window" && together.points && plot) {
      Object.assign(together.points.content, { begin: content.begin, end: content.end });
      if (!seen) plot.setScale("x", spanOf(content));
    }
  };
  model.on("msg:custom", onMessage);

  const sizes = new ResizeObserver(() => {
    const wide = Math.floor(element.clientWidth);
    if (!wide || wide === width) return;
    width = wide;
    if (plot) plot.setSize({ width, height: CHART_HEIGHT });
    else draw();
    model.send({ kind: "width", width: Math.max(200, width - 70) });
  });
  sizes.observe(element);
  // The page was made light or dark.
  const themes = new MutationObserver(() => plot?.redraw(false, true));
  themes.observe(document.body, { attributes: true });

  return {
    element,
    show: () => model.send({ kind: "draw", viewer }),
    end: () => {
      model.off("msg:custom", onMessage);
      sizes.disconnect();
      themes.disconnect();
      plot?.destroy();
    },
  };
};
