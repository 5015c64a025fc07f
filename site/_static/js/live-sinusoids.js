// Sinusoidal positions: what base and width do to the pattern, and to the dot product of two positions k apart.
(function () {
  "use strict";
  const WORDS = {
    zh: {
      base: "底数", width: "宽度 D", distance: "距离 k", product: "相隔 {0} 的两个位置，点积是 {1}，是最大值 {2} 的 {3} 倍",
      pattern: "上：位置 0 到 {0} 的编码，一行一个位置，一列一维，颜色深是 −1，浅是 1。下：点积随距离 k 的变化",
    },
    en: {
      base: "Base", width: "Width D", distance: "Distance k", product: "Two positions {0} apart have the dot product {1}, which is {3} times the maximum, {2}",
      pattern: "Top: the encodings of positions 0 to {0}, a row a position, a column a dimension, dark for −1, light for 1. Bottom: dot product against distance k",
    },
  };
  const POSITIONS = 32;
  const FARTHEST = 200;
  const WIDE = 640;
  const LEVELS = 9;

  // ω_i = base^(−2i/d); p(t)·p(t+k) = Σ_i cos(k ω_i), whatever t is
  const frequencies = (base, width) => Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
  const product = (omegas, k) => omegas.reduce((sum, omega) => sum + Math.cos(k * omega), 0);

  window.LLMBook.live.register("sinusoids", {
    words: WORDS,
    weights: null,
    defaults: { base: 4, width: 128, distance: 10 },
    allowed: {
      base: (power) => Number.isInteger(power) && power >= 1 && power <= 6,
      width: (width) => width % 2 === 0 && width >= 4 && width <= 128,
      distance: (k) => Number.isInteger(k) && k >= 0 && k <= FARTHEST,
    },
    build(figure, bar) {
      const { words, element, svg, fill } = figure;
      bar.slide("base", words.base, { min: 1, max: 6, text: (power) => (10 ** power).toLocaleString("en") });
      bar.slide("width", words.width, { min: 4, max: 128, step: 2 });
      bar.slide("distance", words.distance, { min: 0, max: FARTHEST });
      const sentence = element("p", { class: "live-reading" });
      const map = element("div", { class: "live-map", role: "img" });
      figure.stage.append(sentence, map);

      function pattern(omegas, drawing) {
        const width = omegas.length * 2;
        const [cell, row] = [(WIDE - 50) / width, 5];
        const paths = Array.from({ length: LEVELS }, () => "");
        for (let t = 0; t < POSITIONS; t += 1) {
          for (let j = 0; j < width; j += 1) {
            const angle = t * omegas[j >> 1];
            const value = j % 2 ? Math.cos(angle) : Math.sin(angle);
            const level = Math.min(LEVELS - 1, Math.floor(((value + 1) / 2) * LEVELS));
            paths[level] += `M${(40 + j * cell).toFixed(1)} ${10 + t * row}h${cell.toFixed(1)}v${row}h-${cell.toFixed(1)}z`;
          }
        }
        paths.forEach((d, level) => d && drawing.append(svg("path", { d, fill: figure.shade(1 - level / (LEVELS - 1)) })));
        drawing.append(svg("text", { x: 34, y: 20, "text-anchor": "end" }, "0"), svg("text", { x: 34, y: 10 + POSITIONS * row, "text-anchor": "end" }, String(POSITIONS - 1)));
      }

      function curve(omegas, distance, drawing) {
        const most = omegas.length;
        const x = (k) => 40 + (k / FARTHEST) * (WIDE - 50);
        const y = (value) => 300 - (value / most) * 100;
        const line = Array.from({ length: FARTHEST * 2 + 1 }, (_, i) => `${i ? "L" : "M"}${x(i / 2).toFixed(1)} ${y(product(omegas, i / 2)).toFixed(1)}`);
        drawing.append(
          svg("path", { d: `M40 ${y(0)}H${WIDE - 10}M40 ${y(most)}V${y(-most)}`, stroke: "#888", fill: "none" }),
          svg("path", { d: line.join(""), stroke: "#084081", "stroke-width": 1.6, fill: "none" }),
          svg("path", { d: `M${x(distance)} ${y(most)}V${y(-most)}`, stroke: "#b2182b", "stroke-dasharray": "4 3", fill: "none" }),
          svg("circle", { cx: x(distance), cy: y(product(omegas, distance)), r: 5, fill: "#b2182b" }),
          svg("text", { x: 34, y: y(most) + 5, "text-anchor": "end" }, String(most)),
          svg("text", { x: 34, y: y(0) + 5, "text-anchor": "end" }, "0"),
          svg("text", { x: 34, y: y(-most) + 5, "text-anchor": "end" }, `−${most}`),
          svg("text", { x: WIDE - 10, y: y(-most) + 4, "text-anchor": "end" }, `k = ${FARTHEST}`),
          svg("text", { x: 46, y: y(-most) + 4 }, "PE(p) · PE(p + k)"),
        );
      }

      return function draw({ base, width, distance }) {
        const omegas = frequencies(10 ** base, width);
        const drawing = svg("svg", {
          xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${WIDE} 412`, width: WIDE, height: 412, class: "live-fits",
          "font-family": "system-ui, sans-serif", "font-size": 13, fill: "#222",
        });
        pattern(omegas, drawing);
        curve(omegas, distance, drawing);
        map.replaceChildren(drawing);
        map.setAttribute("aria-label", fill(words.pattern, POSITIONS - 1));
        const value = product(omegas, distance);
        const said = (number, digits) => number.toFixed(digits).replace("-", "−");
        sentence.textContent = fill(words.product, distance, said(value, 4), omegas.length, said(value / omegas.length, 3));
        figure.announce(sentence.textContent);
      };
    },
  });
})();
