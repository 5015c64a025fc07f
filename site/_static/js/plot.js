// needs: numbers
// Charts of live figures, in an SVG 480 units wide; on a phone 360, so that its letters shrink less.
//
//   const chart = LLMBook.plot.chart({x: axis, y: axis, top, high, right, legend})
//     axis: {from, to, log, ticks, text, label}; `log` makes it logarithmic. `ticks`: where it is marked, unless at
//     round numbers; `text(value)`: what is written there. legend: [[text, style], …], above the chart
//   chart.line(name, [[x, y], …], style)          style: {color, dash, width, mark}; what has no place is left out.
//   chart.mark(name, x, y, style, title)          Lines and marks of one name are one series: its dash or its mark tells it from others
//   chart.ends([[text, y, style], …])             at the lines' ends on the right, pushed apart
//   chart.rule(x, {text, to, dash, color})        a vertical line from the axis up, or up to `to` only
//   chart.text(x, y, text, {dx, dy, anchor, …})   with a halo, to stand on lines
//   chart.drawing, and chart.x(value), chart.y(value), chart.frame for what else is drawn
//   LLMBook.plot.bars([{label, value, text, note, color, hatched}, …])
(function () {
  "use strict";
  const { svg, drawing } = window.LLMBook.live;
  const { grouped, minus } = window.LLMBook.numbers;
  const NARROW = window.matchMedia("(max-width: 30rem)").matches;
  const WIDE = NARROW ? 360 : 480;
  const [GRID, AXIS] = ["#ddd", "#888"];
  const HALO = { stroke: "#fff", "stroke-width": 4, "stroke-linejoin": "round", "paint-order": "stroke" };
  const MARKS = {
    circle: (x, y, color) => svg("circle", { cx: at(x), cy: at(y), r: 4, fill: color }),
    square: (x, y, color) => svg("rect", { x: at(x - 3.5), y: at(y - 3.5), width: 7, height: 7, ...hollow(color) }),
    diamond: (x, y, color) => path(`M${at(x)} ${at(y - 7)}l7 7l-7 7l-7 -7z`, hollow(color)),
  };
  const hollow = (color) => ({ fill: "#fff", stroke: color, "stroke-width": 1.5 });

  const at = (place) => Number(place.toFixed(1));
  const path = (d, attributes) => svg("path", { d, fill: "none", ...attributes });
  const log10 = (value) => Math.round(Math.log10(value) * 1e9) / 1e9;

  function scale({ from, to, log }, start, end) {
    const place = log ? Math.log10 : (value) => value;
    return (value) => start + ((place(value) - place(from)) / (place(to) - place(from))) * (end - start);
  }

  // at most nine: multiples of 1, 2 or 5 times a power of ten; of a logarithmic axis, powers of ten
  function round({ from, to, log }) {
    const [low, high] = log ? [log10(from), log10(to)] : [from, to];
    const unit = 10 ** Math.floor(Math.log10((high - low) / 8));
    const apart = [1, 2, 5, 10].map((times) => times * unit).find((step) => (high - low) / step <= 8 && (!log || step >= 1));
    const first = Math.ceil(low / apart);
    const count = Math.floor(high / apart + 1e-9) - first + 1;
    const all = Array.from({ length: count }, (_, i) => Number(((first + i) * apart).toPrecision(12)));
    return log ? all.map((power) => 10 ** power) : all;
  }

  // what the axis says, 10 with its power raised, or the number
  function written({ log, text }, value) {
    if (text) return [text(value)];
    if (!log) return [Number.isInteger(value) ? grouped(value) : minus(value)];
    return ["10", svg("tspan", { dy: -6, "font-size": 10 }, minus(log10(value)))];
  }

  // dashes of no length are dots
  const stroke = ({ color, dash, width = 2.2 }) => ({
    stroke: color, "stroke-width": width, ...(dash && { "stroke-dasharray": dash }),
    ...(dash?.startsWith("0") && { "stroke-linecap": "round" }),
  });

  function chart({ x: across, y: up, top: least = 42, high = 384, right = 16, legend = [] }) {
    const made = drawing(WIDE, high);
    const top = least + (NARROW ? 18 * Math.max(0, legend.length - 1) : 0);
    const frame = { left: 52, right: WIDE - right, top, floor: high - (across.label ? 42 : 26) };
    const x = scale(across, frame.left, frame.right);
    const y = scale(up, frame.floor, frame.top);
    const text = (attributes, ...parts) => made.append(svg("text", attributes, ...parts));

    for (const value of up.ticks || round(up)) {
      const stroke = value === (up.log ? 1 : 0) ? AXIS : GRID;
      made.append(path(`M${frame.left} ${at(y(value))}H${frame.right}`, { stroke }));
      text({ x: frame.left - 6, y: at(y(value) + 5), "text-anchor": "end" }, ...written(up, value));
    }
    for (const value of across.ticks || round(across)) {
      made.append(path(`M${at(x(value))} ${frame.floor}v5`, { stroke: AXIS }));
      text({ x: at(x(value)), y: frame.floor + 19, "text-anchor": "middle" }, ...written(across, value));
    }
    made.append(path(`M${frame.left} ${frame.top}V${frame.floor}H${frame.right}`, { stroke: AXIS }));
    if (across.label) text({ x: (frame.left + frame.right) / 2, y: high - 5, "text-anchor": "middle" }, across.label);
    if (up.label) text({ x: 2, y: top - 28 }, up.label);

    legend.forEach(([label, style], place) => {
      const start = frame.left + (NARROW ? 0 : ((frame.right - frame.left) / legend.length) * place);
      const y = 14 + (NARROW ? 18 * place : 0);
      made.append(path(`M${at(start)} ${y}h40`, stroke(style)));
      if (style.mark) made.append(MARKS[style.mark](start + 20, y, style.color));
      text({ x: at(start + 48), y: y + 5 }, label);
    });

    function line(name, points, style) {
      const seen = points.map(([a, b]) => [x(a), y(b)]).filter((point) => point.every(Number.isFinite));
      const d = `M${seen.map(([a, b]) => `${at(a)} ${at(b)}`).join("L")}`;
      if (seen.length) made.append(path(d, { ...stroke(style), "data-series": name }));
    }

    function mark(name, a, b, { mark: shape = "circle", color }, title) {
      if (![x(a), y(b)].every(Number.isFinite)) return;
      const drawn = MARKS[shape](x(a), y(b), color);
      drawn.dataset.series = name;
      drawn.dataset.mark = shape;
      if (title) drawn.append(svg("title", {}, title));
      made.append(drawn);
    }

    function rule(a, { text: label, to, dash, color = "#222" }) {
      const end = to === undefined ? frame.top : y(to);
      made.append(path(`M${at(x(a))} ${at(end)}V${frame.floor}`, { ...stroke({ color, dash, width: 1.2 }), "data-rule": a }));
      const anchor = x(a) < frame.left + 60 ? "start" : x(a) > frame.right - 60 ? "end" : "middle";
      if (label) text({ x: at(x(a)), y: frame.top - 6, "text-anchor": anchor }, label);
    }

    function ends(all) {
      let last = Infinity;
      for (const [label, value, { color }] of [...all].sort((one, other) => one[1] - other[1])) {
        last = Math.min(y(value) + (last === Infinity ? 9 : 1), last - 16);
        text({ x: frame.right + 5, y: at(last), fill: color, "data-end": "" }, label);
      }
    }

    return {
      drawing: made, frame, x, y, line, mark, rule, ends,
      text: (a, b, label, { dx = 0, dy = 0, anchor = "start" } = {}) =>
        text({ x: at(x(a) + dx), y: at(y(b) + dy), "text-anchor": anchor, ...HALO }, label),
    };
  }

  function hatching(color) {
    const [id, side] = [`live-hatching-${color.slice(1)}`, { width: 7, height: 7 }];
    const pattern = svg("pattern", { id, ...side, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(svg("rect", { ...side, fill: "#fff" }), svg("rect", { ...side, width: 4, fill: color }));
    return [svg("defs", {}, pattern), { fill: `url(#${id})`, stroke: color }];
  }

  function bars(rows) {
    const [left, room, row] = [98, WIDE - 220, 30];
    const made = drawing(WIDE, row * rows.length + 10);
    const most = Math.max(...rows.map(({ value }) => value));
    rows.forEach(({ label, value, text, note, color, hatched }, place) => {
      const y = 5 + place * row;
      const long = at((value / most) * room);
      const [pattern, paint] = hatched ? hatching(color) : ["", { fill: color, stroke: "none" }];
      made.append(
        pattern, svg("text", { x: left - 6, y: y + 19, "text-anchor": "end" }, label),
        svg("rect", { x: left, y: y + 3, width: long, height: row - 8, ...paint, "data-bar": place }),
        svg("text", { x: at(left + long + 6), y: y + 19, "data-value": place }, text),
      );
      if (note) made.append(svg("text", { x: WIDE - 6, y: y + 19, "text-anchor": "end", "data-note": place }, note));
    });
    return made;
  }

  window.LLMBook.plot = { chart, bars };
})();
