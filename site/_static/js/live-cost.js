// needs: plot
// What a layer costs as the text gets longer: attention, a recurrent network (LSTM), a causal convolution.
// The formulas are those of llmbook.costs: layer_cost and crossover.
(function () {
  "use strict";
  const { fill } = window.LLMBook.live;
  const { grouped } = window.LLMBook.numbers;
  const WORDS = {
    zh: {
      width: "宽度 D", kernel: "卷积核 k", length: "长度 n", across: "长度 n", up: "乘加次数",
      names: { attention: "注意力", recurrence: "循环神经网络（LSTM）", convolution: "卷积神经网络" },
      said: { attention: "注意力", recurrence: "循环神经网络（LSTM）", convolution: "卷积神经网络" },
      columns: ["公式", "乘加次数", "先后步数", "路径长度"],
      list: "、", all: "n\u00a0=\u00a0{0} 时，三者的乘加一样多。",
      one: "n\u00a0=\u00a0{0} 时，乘加最少的是{1}：{2}。", tie: "n\u00a0=\u00a0{0} 时，乘加最少的是{1}，两者一样多：{2}。",
      ratio: "{0}是它的 {1} 倍", then: "，",
      recurrence: "n 一超过 2D\u00a0=\u00a0{0}，注意力就比循环神经网络贵；",
      convolution: "一超过 (k\u00a0−\u00a02)D\u00a0=\u00a0{0}，就比卷积神经网络贵。", always: "而 k\u00a0=\u00a02 时，不论多长，注意力都比卷积神经网络贵。",
      steps: "LSTM 的 {0} 步只能一步接一步地算，另外两种同时算所有位置。",
      picture: "乘加次数随长度 n 增长的三条线，横竖都是对数刻度。实线：注意力；长虚线：循环神经网络（LSTM）；点线：卷积神经网络。竖线在 n\u00a0=\u00a0{0} 处",
      note: "横轴：长度 n；竖轴：一层的乘加次数，只算词元之间交换信息的部分，不算前馈网络；都是对数刻度。菱形处两者一样多。",
    },
    en: {
      width: "Width D", kernel: "Kernel k", length: "Length n", across: "length n", up: "multiply-adds",
      names: { attention: "Attention", recurrence: "Recurrent neural network (LSTM)", convolution: "Convolutional neural network" },
      said: { attention: "attention", recurrence: "the recurrent network", convolution: "the convolutional network" },
      columns: ["Formula", "Multiply-adds", "Sequential steps", "Path length"],
      list: " and ", all: "At n\u00a0=\u00a0{0} all three need the same number of multiply-adds. ",
      one: "At n\u00a0=\u00a0{0} the fewest multiply-adds are those of {1}; {2}. ",
      tie: "At n\u00a0=\u00a0{0} the fewest multiply-adds are those of {1}, equally many; {2}. ",
      ratio: "{0} needs {1} times as many", then: ", ",
      recurrence: "As soon as n exceeds 2D\u00a0=\u00a0{0}, attention costs more than the recurrent network; ",
      convolution: "beyond (k\u00a0−\u00a02)D\u00a0=\u00a0{0}, more than the convolutional one. ",
      always: "with k\u00a0=\u00a02 it costs more than the convolutional one at any length. ",
      steps: "The LSTM has to take its {0} steps one after the other; the other two compute all positions at once.",
      picture: "Three lines of multiply-adds against length n, both scales logarithmic. Solid: attention; " +
        "long dashes: recurrent network (LSTM); dots: convolutional network. A vertical line at n\u00a0=\u00a0{0}",
      note: "Across: length n. Up: multiply-adds of a layer, only of the part that passes information between tokens, " +
        "without the feed-forward network. Both scales are logarithmic. At a diamond two cost the same.",
    },
  };
  const FAMILIES = {
    attention: { formula: "4nD²\u00a0+\u00a02n²D", color: "#b2182b" },
    recurrence: { label: "LSTM", formula: "8nD²", color: "#2166ac", dash: "10 5" },
    convolution: { label: "CNN", formula: "2knD²", color: "#333", width: 2.6, dash: "0.1 5" },
  };
  const NAMES = Object.keys(FAMILIES);
  const WIDTHS = [64, 128, 256, 512, 1024, 2048, 4096];
  const [SHORTEST, LONGEST] = [4, 17]; // powers of 2

  function products(name, n, d, k) {
    return name === "attention" ? 4 * n * d * d + 2 * n * n * d : (name === "recurrence" ? 8 : 2 * k) * n * d * d;
  }

  // the least L whose dilations 1, 2, 4, … reach back n tokens
  function layers(n, k) {
    let least = 1;
    while (1 + (k - 1) * (2 ** least - 1) < n) least += 1;
    return least;
  }

  const stepsAndPath = (name, n, k) => ({ attention: [1, 1], recurrence: [n, n], convolution: [1, layers(n, k)] })[name];

  // where attention costs as much; 0: nowhere
  const crossovers = (d, k) => ({ recurrence: 2 * d, convolution: (k - 2) * d });

  const times = (ratio) => (ratio >= 100 ? grouped(Math.round(ratio)) : String(Number(ratio.toFixed(ratio < 1.01 ? 3 : 2))));

  function drawn(n, d, k, words) {
    const ends = NAMES.flatMap((name) => [SHORTEST, LONGEST].map((power) => Math.log10(products(name, 2 ** power, d, k))));
    const [low, high] = [10 ** Math.floor(Math.min(...ends)), 10 ** Math.ceil(Math.max(...ends))];
    const chart = window.LLMBook.plot.chart({
      right: 68, y: { from: low, to: high, log: true, label: words.up },
      x: { from: 2 ** SHORTEST, to: 2 ** LONGEST, log: true, label: words.across, ticks: [16, 128, 1024, 8192, 65536], text: grouped },
    });
    chart.rule(n, { text: `n = ${grouped(n)}` });
    // a line is straight but for attention's, which bends where n = 2d
    const lengths = Array.from({ length: 2 * (LONGEST - SHORTEST) + 1 }, (_, i) => 2 ** (SHORTEST + i / 2));
    for (const name of NAMES) chart.line(name, lengths.map((length) => [length, products(name, length, d, k)]), FAMILIES[name]);
    for (const name of NAMES) chart.mark(name, n, products(name, n, d, k), FAMILIES[name]);
    chart.ends(NAMES.map((name) => [FAMILIES[name].label || words.said[name], products(name, 2 ** LONGEST, d, k), FAMILIES[name]]));
    // where attention meets the others
    const meets = Object.entries(crossovers(d, k)).filter(([, length]) => length);
    meets.forEach(([name, length], row) => {
      const level = products(name, length, d, k);
      chart.rule(length, { to: level, dash: "3 3", color: "#888" });
      chart.mark("meeting", length, level, { mark: "diamond", color: "#222" }, `n = ${grouped(length)}`);
      if (row && length === meets[0][1]) return; // k = 4: both at 2d
      chart.text(length, low, `${length === d ? "" : length / d}D = ${grouped(length)}`, { dx: 5, dy: -6 - 18 * row });
    });
    return chart.drawing;
  }

  function cheapest(n, d, k, words) {
    const all = NAMES.map((name) => [name, products(name, n, d, k)]);
    const least = Math.min(...all.map(([, number]) => number));
    const first = all.filter(([, number]) => number === least).map(([name]) => words.said[name]);
    if (first.length === NAMES.length) return fill(words.all, grouped(n));
    const dearer = all.filter(([, number]) => number > least);
    const others = dearer.map(([name, number]) => fill(words.ratio, words.said[name], times(number / least)));
    return fill(first.length === 1 ? words.one : words.tie, grouped(n), first.join(words.list), others.join(words.then));
  }

  window.LLMBook.live.register("cost", {
    words: WORDS,
    defaults: { width: 512, kernel: 3, length: 8 },
    build({ words, bar }) {
      bar.choose("width", words.width, WIDTHS.map((width) => [width, grouped(width)]));
      bar.slide("kernel", words.kernel, { min: 2, max: 5 });
      bar.slide("length", words.length, { min: SHORTEST, max: LONGEST, text: (power) => grouped(2 ** power) });

      return function draw({ width: d, kernel: k, length }) {
        const n = 2 ** length;
        const meets = crossovers(d, k);
        const row = (name) => [FAMILIES[name].formula, ...[products(name, n, d, k), ...stepsAndPath(name, n, k)].map(grouped)];
        return {
          reading: [
            cheapest(n, d, k, words), fill(words.recurrence, grouped(meets.recurrence)),
            meets.convolution ? fill(words.convolution, grouped(meets.convolution)) : words.always, fill(words.steps, grouped(n)),
          ].join(""),
          note: words.note, picture: drawn(n, d, k, words), label: fill(words.picture, grouped(n)),
          table: { head: words.columns, rows: NAMES.map((name) => [words.names[name], ...row(name)]), open: true },
        };
      };
    },
  });
})();
