// What a layer costs as the text gets longer: attention, a recurrent network (LSTM), a causal convolution.
// The formulas are those of llmbook.costs: layer_cost and crossover.
(function () {
  "use strict";
  const WORDS = {
    zh: {
      width: "宽度 d", kernel: "卷积核 k", length: "长度 n",
      names: { attention: "注意力", recurrence: "循环神经网络（LSTM）", convolution: "卷积神经网络" },
      columns: ["公式", "乘加次数", "先后步数", "路径长度"],
      table: "长度为 n 时每一层的代价",
      list: "、", all: "n\u00a0=\u00a0{0} 时，三者的乘加一样多。",
      one: "n\u00a0=\u00a0{0} 时，乘加最少的是{1}：{2}。", tie: "n\u00a0=\u00a0{0} 时，乘加最少的是{1}，两者一样多：{2}。",
      ratio: "{0}是它的 {1} 倍", then: "，",
      recurrence: "n 一超过 2d\u00a0=\u00a0{0}，注意力就比循环神经网络贵；",
      convolution: "一超过 (k\u00a0−\u00a02)d\u00a0=\u00a0{0}，就比卷积神经网络贵。", always: "而 k\u00a0=\u00a02 时，不论多长，注意力都比卷积神经网络贵。",
      steps: "LSTM 的 {0} 步只能一步接一步地算，另外两种同时算所有位置。",
      picture: "乘加次数随长度 n 增长的三条线，横竖都是对数刻度。实线：注意力；长虚线：循环神经网络（LSTM）；点线：卷积神经网络。竖线在 n\u00a0=\u00a0{0} 处",
      note: "横轴：长度 n；竖轴：一层的乘加次数，只算词元之间交换信息的部分，不算前馈网络；都是对数刻度。菱形处两者一样多。",
    },
    en: {
      width: "Width d", kernel: "Kernel k", length: "Length n",
      names: { attention: "Attention", recurrence: "Recurrent neural network (LSTM)", convolution: "Convolutional neural network" },
      said: { attention: "attention", recurrence: "the recurrent network", convolution: "the convolutional network" },
      columns: ["Formula", "Multiply-adds", "Sequential steps", "Path length"],
      table: "What a layer costs at length n",
      list: " and ", all: "At n\u00a0=\u00a0{0} all three need the same number of multiply-adds. ",
      one: "At n\u00a0=\u00a0{0} the fewest multiply-adds are those of {1}; {2}. ",
      tie: "At n\u00a0=\u00a0{0} the fewest multiply-adds are those of {1}, equally many; {2}. ",
      ratio: "{0} needs {1} times as many", then: ", ",
      recurrence: "As soon as n exceeds 2d\u00a0=\u00a0{0}, attention costs more than the recurrent network; ",
      convolution: "beyond (k\u00a0−\u00a02)d\u00a0=\u00a0{0}, more than the convolutional one. ", always: "with k\u00a0=\u00a02 it costs more than the convolutional one at any length. ",
      steps: "The LSTM has to take its {0} steps one after the other; the other two compute all positions at once.",
      picture: "Three lines of multiply-adds against length n, both scales logarithmic. Solid: attention; long dashes: recurrent network (LSTM); dots: convolutional network. A vertical line at n\u00a0=\u00a0{0}",
      note: "Across: length n. Up: multiply-adds of a layer, only of the part that passes information between tokens, without the feed-forward network. Both scales are logarithmic. At a diamond two cost the same.",
    },
  };
  // the picture's own labels are the same in both editions, as in every plot
  const FAMILIES = {
    attention: { label: "attention", formula: "4nd²\u00a0+\u00a02n²d", stroke: "#b2182b", "stroke-width": 2.2 },
    recurrence: { label: "LSTM", formula: "8nd²", stroke: "#2166ac", "stroke-width": 2.2, "stroke-dasharray": "10 5" },
    convolution: { label: "CNN", formula: "2knd²", stroke: "#333", "stroke-width": 2.6, "stroke-dasharray": "0.1 5", "stroke-linecap": "round" },
  };
  const NAMES = Object.keys(FAMILIES);
  const WIDTHS = [64, 128, 256, 512, 1024, 2048, 4096];
  const [SHORTEST, LONGEST] = [4, 17]; // powers of 2
  const [WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM] = [480, 384, 44, 68, 42, 42];

  function multiplications(name, n, d, k) {
    return name === "attention" ? 4 * n * d * d + 2 * n * n * d : (name === "recurrence" ? 8 : 2 * k) * n * d * d;
  }

  // the least L whose dilations 1, 2, 4, … reach back n tokens
  function layers(n, k) {
    let least = 1;
    while (1 + (k - 1) * (2 ** least - 1) < n) least += 1;
    return least;
  }

  function cost(name, n, d, k) {
    const [steps, path] = { attention: [1, 1], recurrence: [n, n], convolution: [1, layers(n, k)] }[name];
    return [multiplications(name, n, d, k), steps, path];
  }

  // where attention costs as much; 0: nowhere
  const crossovers = (d, k) => ({ recurrence: 2 * d, convolution: (k - 2) * d });

  const grouped = (number) => number.toLocaleString("en");
  const times = (ratio) => (ratio >= 100 ? grouped(Math.round(ratio)) : String(Number(ratio.toFixed(ratio < 1.01 ? 3 : 2))));

  window.LLMBook.live.register("cost", {
    words: WORDS,
    weights: null,
    defaults: { width: 512, kernel: 3, length: 8 },
    allowed: {
      width: (width) => WIDTHS.includes(width),
      kernel: (size) => Number.isInteger(size) && size >= 2 && size <= 5,
      length: (power) => Number.isInteger(power) && power >= SHORTEST && power <= LONGEST,
    },
    build(figure, bar) {
      const { words, element, svg, fill } = figure;
      bar.choose("width", words.width, WIDTHS.map((width) => [width, grouped(width)]));
      bar.slide("kernel", words.kernel, { min: 2, max: 5 });
      bar.slide("length", words.length, { min: SHORTEST, max: LONGEST, text: (power) => grouped(2 ** power) });
      const sentence = element("p", { class: "live-reading" });
      const map = element("div", { class: "live-map", role: "img" });
      const holder = element("div", { class: "live-scroll", tabindex: "0", role: "region", "aria-label": words.table });
      figure.stage.append(sentence, map, element("p", { class: "live-note" }, words.note), element("div", { class: "live-numbers" }, holder));

      const style = ({ label, formula, ...rest }) => rest;

      function chart(n, d, k) {
        const drawing = svg("svg", {
          xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, class: "live-fits",
          "font-family": "system-ui, sans-serif", "font-size": 14, fill: "#222",
        });
        const ends = NAMES.flatMap((name) => [SHORTEST, LONGEST].map((power) => Math.log10(multiplications(name, 2 ** power, d, k))));
        const [low, high] = [Math.floor(Math.min(...ends)), Math.ceil(Math.max(...ends))];
        const x = (length) => LEFT + ((Math.log2(length) - SHORTEST) / (LONGEST - SHORTEST)) * (WIDE - LEFT - RIGHT);
        const y = (value) => HIGH - BOTTOM - ((Math.log10(value) - low) / (high - low)) * (HIGH - TOP - BOTTOM);
        const floor = HIGH - BOTTOM;
        const halo = { stroke: "#fff", "stroke-width": 4, "stroke-linejoin": "round", "paint-order": "stroke" };
        for (let power = low; power <= high; power += 1) {
          const level = y(10 ** power).toFixed(1);
          drawing.append(svg("path", { d: `M${LEFT} ${level}H${WIDE - RIGHT}`, stroke: "#ddd", fill: "none" }));
          const ten = svg("text", { x: LEFT - 6, y: Number(level) + 5, "text-anchor": "end" }, "10");
          ten.append(svg("tspan", { dy: -6, "font-size": 10 }, String(power)));
          drawing.append(ten);
        }
        for (let power = SHORTEST; power <= LONGEST; power += 3) {
          const at = x(2 ** power).toFixed(1);
          drawing.append(
            svg("path", { d: `M${at} ${floor}v5`, stroke: "#888", fill: "none" }),
            svg("text", { x: at, y: floor + 19, "text-anchor": "middle" }, grouped(2 ** power)),
          );
        }
        drawing.append(
          svg("path", { d: `M${LEFT} ${TOP}V${floor}H${WIDE - RIGHT}`, stroke: "#888", fill: "none" }),
          svg("text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 5, "text-anchor": "middle" }, "n"),
          svg("text", { x: 2, y: 14 }, "multiply-adds"),
          svg("path", { d: `M${x(n).toFixed(1)} ${TOP}V${floor}`, stroke: "#222", "stroke-width": 1.2, fill: "none", "data-line": n }),
          svg("text", { x: x(n).toFixed(1), y: TOP - 6, "text-anchor": n < 512 ? "start" : "middle" }, `n = ${grouped(n)}`),
        );
        // a line is straight but for attention's, which bends where n = 2d
        for (const name of NAMES) {
          const line = [];
          for (let power = SHORTEST; power <= LONGEST; power += 0.5) {
            line.push(`${x(2 ** power).toFixed(1)} ${y(multiplications(name, 2 ** power, d, k)).toFixed(1)}`);
          }
          drawing.append(svg("path", { d: `M${line.join("L")}`, fill: "none", ...style(FAMILIES[name]), "data-family": name }));
        }
        for (const name of NAMES) {
          drawing.append(svg("circle", { cx: x(n).toFixed(1), cy: y(multiplications(name, n, d, k)).toFixed(1), r: 4, fill: FAMILIES[name].stroke, "data-family": name }));
        }
        // labels at the ends, from the lowest line up, 16 apart
        let last = Infinity;
        const rising = [...NAMES].sort((a, b) => multiplications(a, 2 ** LONGEST, d, k) - multiplications(b, 2 ** LONGEST, d, k));
        for (const name of rising) {
          last = Math.min(y(multiplications(name, 2 ** LONGEST, d, k)) + (last === Infinity ? 9 : 1), last - 16);
          drawing.append(svg("text", { x: WIDE - RIGHT + 5, y: last.toFixed(1), fill: FAMILIES[name].stroke, "data-label": name }, FAMILIES[name].label));
        }
        // where attention meets the others
        Object.entries(crossovers(d, k)).forEach(([name, length], row) => {
          if (length === 0) return;
          const [at, level] = [x(length), y(multiplications(name, length, d, k))];
          const many = length / d === 1 ? "d" : `${length / d}d`;
          const said = drawing.querySelector(`[data-length="${length}"]`); // k = 4: both at 2d
          drawing.append(
            svg("path", { d: `M${at.toFixed(1)} ${level.toFixed(1)}V${floor}`, stroke: "#888", "stroke-dasharray": "3 3", fill: "none" }),
            svg("path", {
              d: `M${at.toFixed(1)} ${(level - 7).toFixed(1)}l7 7l-7 7l-7 -7z`, fill: "#fff", stroke: "#222", "stroke-width": 1.5,
              "data-against": name, "data-length": length,
            }),
          );
          if (!said) drawing.append(svg("text", { x: (at + 5).toFixed(1), y: floor - 6 - 18 * row, ...halo }, `${many} = ${grouped(length)}`));
        });
        return drawing;
      }

      function table(n, d, k) {
        const head = element("tr", {}, element("td"), ...words.columns.map((name) => element("th", { scope: "col" }, name)));
        const rows = NAMES.map((name) => element("tr", { "data-family": name },
          element("th", { scope: "row" }, words.names[name]),
          element("td", {}, FAMILIES[name].formula),
          ...cost(name, n, d, k).map((number) => element("td", {}, grouped(number)))));
        return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
      }

      function cheapest(n, d, k) {
        const said = words.said || words.names;
        const all = NAMES.map((name) => [name, multiplications(name, n, d, k)]);
        const least = Math.min(...all.map(([, number]) => number));
        const first = all.filter(([, number]) => number === least).map(([name]) => said[name]);
        if (first.length === NAMES.length) return fill(words.all, grouped(n));
        const others = all.filter(([, number]) => number > least).map(([name, number]) => fill(words.ratio, said[name], times(number / least)));
        return fill(first.length === 1 ? words.one : words.tie, grouped(n), first.join(words.list), others.join(words.then));
      }

      return function draw({ width, kernel, length }) {
        const n = 2 ** length;
        const meets = crossovers(width, kernel);
        map.replaceChildren(chart(n, width, kernel));
        map.setAttribute("aria-label", fill(words.picture, grouped(n)));
        holder.replaceChildren(table(n, width, kernel));
        sentence.textContent = [
          cheapest(n, width, kernel), fill(words.recurrence, grouped(meets.recurrence)),
          meets.convolution ? fill(words.convolution, grouped(meets.convolution)) : words.always, fill(words.steps, grouped(n)),
        ].join("");
        figure.announce(sentence.textContent);
      };
    },
  });
})();
