// needs: plot, heatmap
// Sinusoidal positions: what base and width do to the pattern, and to the dot product of two positions Δ apart.
(function () {
  "use strict";
  const { svg, fill } = window.LLMBook.live;
  const { fixed, grouped } = window.LLMBook.numbers;
  const WORDS = {
    zh: {
      base: "底数", width: "宽度 D", distance: "距离 Δ", product: "相隔 {0} 的两个位置，点积是 {1}，是最大值 {2} 的 {3} 倍",
      pattern: "上：位置 0 到 {0} 的编码，一行一个位置，一列一维，颜色深是 −1，浅是 1。下：点积随距离 Δ 的变化",
      position: "位置 p", across: "距离 Δ", up: "点积 PE(p) · PE(p + Δ)",
    },
    en: {
      base: "Base", width: "Width D", distance: "Distance Δ",
      product: "Two positions {0} apart have the dot product {1}, which is {3} times the maximum, {2}",
      pattern: "Top: the encodings of positions 0 to {0}, a row a position, a column a dimension, " +
        "dark for −1, light for 1. Bottom: dot product against distance Δ",
      position: "position p", across: "distance Δ", up: "dot product PE(p) · PE(p + Δ)",
    },
  };
  const [POSITIONS, FARTHEST, LEVELS, TOP, ROW] = [32, 200, 9, 22, 5];

  // ω_i = base^(−2i/d); p(t)·p(t+k) = Σ_i cos(k ω_i), whatever t is
  const frequencies = (base, width) => Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
  const product = (omegas, k) => omegas.reduce((sum, omega) => sum + Math.cos(k * omega), 0);

  // a rectangle a number, all of one shade in one path
  function pattern({ drawing, frame }, omegas, words) {
    const cell = (frame.right - frame.left) / (2 * omegas.length);
    const paths = Array.from({ length: LEVELS }, () => "");
    for (let t = 0; t < POSITIONS; t += 1) {
      for (let j = 0; j < 2 * omegas.length; j += 1) {
        const value = j % 2 ? Math.cos(t * omegas[j >> 1]) : Math.sin(t * omegas[j >> 1]);
        const level = Math.min(LEVELS - 1, Math.floor(((value + 1) / 2) * LEVELS));
        paths[level] += `M${(frame.left + j * cell).toFixed(1)} ${TOP + t * ROW}h${cell.toFixed(1)}v${ROW}h-${cell.toFixed(1)}z`;
      }
    }
    const label = (y, text) => svg("text", { x: frame.left - 6, y, "text-anchor": "end" }, text);
    drawing.append(
      ...paths.map((d, level) => svg("path", { d, fill: window.LLMBook.heatmap.shade(1 - level / (LEVELS - 1)) })),
      svg("text", { x: 2, y: 14 }, words.position), label(TOP + 12, "0"), label(TOP + POSITIONS * ROW, String(POSITIONS - 1)),
    );
  }

  window.LLMBook.live.register("sinusoids", {
    words: WORDS,
    defaults: { base: 4, width: 128, distance: 10 },
    build({ words, bar }) {
      bar.slide("base", words.base, { min: 1, max: 6, text: (power) => grouped(10 ** power) });
      bar.slide("width", words.width, { min: 4, max: 128, step: 2 });
      bar.slide("distance", words.distance, { min: 0, max: FARTHEST });

      return function draw({ base, width, distance }) {
        const omegas = frequencies(10 ** base, width);
        const [most, value] = [omegas.length, product(omegas, distance)];
        const chart = window.LLMBook.plot.chart({
          high: 460, top: TOP + POSITIONS * ROW + 46, x: { from: 0, to: FARTHEST, label: words.across, ticks: [0, 50, 100, 150, 200] },
          y: { from: -most, to: most, label: words.up, ticks: [-most, 0, most] },
        });
        pattern(chart, omegas, words);
        const halves = Array.from({ length: 2 * FARTHEST + 1 }, (_, i) => i / 2);
        chart.line("product", halves.map((k) => [k, product(omegas, k)]), { color: "#084081", width: 1.6 });
        chart.rule(distance, { dash: "4 3", color: "#b2182b" });
        chart.mark("product", distance, value, { color: "#b2182b" });
        return {
          reading: fill(words.product, distance, fixed(value, 4), most, fixed(value / most, 3)),
          picture: chart.drawing, label: fill(words.pattern, POSITIONS - 1),
        };
      };
    },
  });
})();
