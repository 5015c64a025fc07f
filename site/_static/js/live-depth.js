// A stack of feed-forward layers: how the gradient's norm runs back through it, with and without residuals and normalization.
(function () {
  "use strict";
  const WORDS = {
    zh: {
      depth: "层数 L", residual: "残差连接", norm: "层归一化", gain: "权重的倍数 g",
      none: "不用", pre: "前置归一化", post: "后置归一化",
      reading: "{0} 层：第一层输入处的梯度，范数是输出处的 {1} 倍；x 的范数，输出处是输入处的 {2} 倍",
      key: "实线、圆点：梯度的范数；虚线、方块：x 的范数。横轴：过了 l 层之后，0 是输入，{0} 是输出。纵轴取对数。",
    },
    en: {
      depth: "Depth L", residual: "Residual connection", norm: "Layer normalization", gain: "Gain of the weights, g",
      none: "none", pre: "pre-norm", post: "post-norm",
      reading: "Depth {0}: the gradient’s norm at the input of the first layer is {1} times that at the output; the norm of x at the output is {2} times that at the input",
      key: "Solid line, circles: the norm of the gradient. Dashed line, squares: the norm of x. Across: after l layers, 0 is the input and {0} the output. The vertical scale is logarithmic.",
    },
  };
  const DEEPEST = 48;
  const [ROWS, WIDTH, INNER] = [16, 32, 64];
  const EPS = 1e-5;
  const GAINS = Array.from({ length: 16 }, (_, i) => (i + 5) / 10);
  const [WIDE, HIGH] = [640, 350];
  const [LEFT, RIGHT, TOP, BOTTOM] = [52, 622, 44, 310];

  // mulberry32: uniform in [0, 1), the same numbers everywhere
  function generator(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const mean = (x) => x.reduce((sum, value) => sum + value, 0) / x.length;
  const plus = (a, b) => a.map((value, i) => value + b[i]);
  const times = (matrix, x) => matrix.map((row) => dot(row, x));
  const turned = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));

  // Inputs of variance 1, gradients of norm 1 at the output, and every layer's weights, uniform of Xavier's width;
  // a shallower stack is the beginning of a deeper one.
  function makeNetwork() {
    const random = generator(1);
    const uniform = (rows, columns, most) =>
      Array.from({ length: rows }, () => Array.from({ length: columns }, () => (2 * random() - 1) * most));
    const inputs = uniform(ROWS, WIDTH, Math.sqrt(3));
    const gradients = uniform(ROWS, WIDTH, 1).map((row) => row.map((value) => value / Math.sqrt(dot(row, row))));
    const most = Math.sqrt(6 / (WIDTH + INNER));
    const layers = Array.from({ length: DEEPEST }, () => {
      const [inner, outer] = [uniform(INNER, WIDTH, most), uniform(WIDTH, INNER, most)];
      return { inner, outer, innerTurned: turned(inner), outerTurned: turned(outer) };
    });
    return { inputs, gradients, layers };
  }

  // Each function of x below gives [its value, back]: back(gradient at the value) is the gradient at x.
  const same = (x) => [x, (gradient) => gradient];

  // W₂ relu(W₁ x), both weights times the gain, which relu lets through
  function feedForward(x, layer, gain) {
    const scaled = (y) => y.map((value) => value * gain ** 2);
    const hidden = times(layer.inner, x).map((value) => Math.max(0, value));
    const back = (gradient) => times(layer.innerTurned, times(layer.outerTurned, gradient).map((value, j) => (hidden[j] > 0 ? value : 0)));
    return [scaled(times(layer.outer, hidden)), (gradient) => scaled(back(gradient))];
  }

  function layerNorm(x) {
    const centre = mean(x);
    const deviation = Math.sqrt(mean(x.map((value) => (value - centre) ** 2)) + EPS);
    const y = x.map((value) => (value - centre) / deviation);
    return [y, (gradient) => {
      const [shift, along] = [mean(gradient), mean(gradient.map((value, i) => value * y[i]))];
      return gradient.map((value, i) => (value - shift - y[i] * along) / deviation);
    }];
  }

  // x + f(x), x + f(norm(x)) or norm(x + f(x)); f alone without the residual connection
  function step(x, layer, { residual, norm, gain }) {
    const [before, backBefore] = (norm === "pre" ? layerNorm : same)(x);
    const [changed, backChanged] = feedForward(before, layer, gain);
    const [y, backAfter] = (norm === "post" ? layerNorm : same)(residual ? plus(x, changed) : changed);
    return [y, (gradient) => {
      const after = backAfter(gradient);
      const through = backBefore(backChanged(after));
      return residual ? plus(after, through) : through;
    }];
  }

  // ‖x‖ and the gradient's norm after 0, 1, …, L layers: root mean squares over the rows
  function norms(network, state) {
    const squares = { forward: new Array(state.depth + 1).fill(0), gradient: new Array(state.depth + 1).fill(0) };
    network.inputs.forEach((input, row) => {
      let x = input;
      const backs = network.layers.slice(0, state.depth).map((layer, l) => {
        squares.forward[l] += dot(x, x);
        const [y, back] = step(x, layer, state);
        x = y;
        return back;
      });
      squares.forward[state.depth] += dot(x, x);
      let gradient = network.gradients[row];
      squares.gradient[state.depth] += dot(gradient, gradient);
      for (let l = state.depth - 1; l >= 0; l -= 1) {
        gradient = backs[l](gradient);
        squares.gradient[l] += dot(gradient, gradient);
      }
    });
    const root = (sums) => sums.map((sum) => Math.sqrt(sum / ROWS));
    return { forward: root(squares.forward), gradient: root(squares.gradient) };
  }

  const minus = (number) => String(number).replace("-", "−");
  const raised = (power) => minus(power).replace(/[−\d]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["−0123456789".indexOf(sign)]);

  // three digits: 0.0123, 12.3, 1.23 × 10⁻⁷; 0 is 0
  function said(value) {
    if (!(value > 0 && value < Infinity)) return String(value).replace("Infinity", "∞"); // too small or too large for a number
    const [digits, power] = value.toExponential(2).split("e").map(Number);
    return Math.abs(power) < 3 ? Number(`${digits}e${power}`).toPrecision(3) : `${digits.toFixed(2)} × 10${raised(power)}`;
  }

  window.LLMBook.live.register("depth", {
    words: WORDS,
    weights: null,
    defaults: { depth: 24, residual: false, norm: "none", gain: 1 },
    allowed: {
      depth: (depth) => Number.isInteger(depth) && depth >= 1 && depth <= DEEPEST,
      norm: (norm) => ["none", "pre", "post"].includes(norm),
      gain: (gain) => GAINS.includes(gain),
    },
    build(figure, bar) {
      const { words, element, svg, fill } = figure;
      bar.slide("depth", words.depth, { min: 1, max: DEEPEST });
      bar.check("residual", words.residual);
      bar.choose("norm", words.norm, [["none", words.none], ["pre", words.pre], ["post", words.post]]);
      bar.slide("gain", words.gain, { min: 0.5, max: 2, step: 0.1, text: (gain) => gain.toFixed(1) });
      const sentence = element("p", { class: "live-reading" });
      const key = element("p", { class: "live-note" });
      const map = element("div", { class: "live-map", role: "img" });
      figure.stage.append(sentence, key, map);
      const network = makeNetwork();

      const small = (text, dy) => svg("tspan", { dy, "font-size": 10 }, text);
      const label = (attributes, ...parts) => svg("text", attributes, ...parts);
      const norm = (x, y, top) => label({ x, y }, top, small("l", 4), svg("tspan", { dy: -4 }, "‖"));

      function axes(depth, low, high, x, y) {
        const drawn = [svg("path", { d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}`, stroke: "#888", fill: "none" })];
        const every = Math.ceil((high - low) / 8);
        for (let power = Math.ceil(low / every) * every; power <= high; power += every) {
          const at = y(10 ** power).toFixed(1);
          drawn.push(
            svg("path", { d: `M${LEFT} ${at}H${RIGHT}`, stroke: power ? "#ddd" : "#888", fill: "none" }),
            label({ x: LEFT - 6, y: Number(at) + 5, "text-anchor": "end" }, "10", small(minus(power), -5)),
          );
        }
        const apart = [1, 2, 4, 6].find((layers) => depth / layers <= 8);
        for (let l = 0; l <= depth; l += apart) {
          drawn.push(
            svg("path", { d: `M${x(l).toFixed(1)} ${BOTTOM}v5`, stroke: "#888", fill: "none" }),
            label({ x: x(l).toFixed(1), y: BOTTOM + 19, "text-anchor": "middle" }, String(l)),
          );
        }
        drawn.push(label({ x: RIGHT, y: HIGH - 4, "text-anchor": "end", "font-style": "italic" }, "l"));
        return drawn;
      }

      const circle = (x, y) => svg("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 3.4, fill: "#084081" });
      const square = (x, y) =>
        svg("rect", { x: (x - 3.5).toFixed(1), y: (y - 3.5).toFixed(1), width: 7, height: 7, fill: "#fff", stroke: "#b2182b", "stroke-width": 1.5 });
      const line = (d, dashed) =>
        svg("path", { d, fill: "none", stroke: dashed ? "#b2182b" : "#084081", "stroke-width": 1.8, ...(dashed ? { "stroke-dasharray": "5 4" } : {}) });

      function chart(depth, { forward, gradient }) {
        const powers = [...forward, ...gradient].map(Math.log10).filter(Number.isFinite); // nothing is drawn of 0 and ∞
        const [low, high] = [Math.floor(Math.min(...powers)), Math.ceil(Math.max(...powers))];
        const x = (l) => LEFT + 12 + (l / depth) * (RIGHT - LEFT - 24);
        const y = (value) => BOTTOM - ((Math.log10(value) - low) / (high - low)) * (BOTTOM - TOP);
        const drawing = svg("svg", {
          xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, class: "live-fits",
          "font-family": "system-ui, sans-serif", "font-size": 13, fill: "#222",
        });
        drawing.append(...axes(depth, low, high, x, y));
        const every = Math.ceil(depth / 24);
        for (const [values, mark, dashed] of [[forward, square, true], [gradient, circle, false]]) {
          const points = values.map((value, l) => ({ value, l })).filter(({ value }) => value > 0 && value < Infinity);
          drawing.append(line(points.map(({ value, l }, i) => `${i ? "L" : "M"}${x(l).toFixed(1)} ${y(value).toFixed(1)}`).join(""), dashed));
          for (const { value, l } of points) {
            if (l % every && l !== depth) continue;
            const marker = mark(x(l), y(value));
            marker.append(svg("title", {}, `l = ${l}: ${said(value)}`));
            drawing.append(marker);
          }
        }
        drawing.append(
          line(`M${LEFT + 12} 18h44`, false), circle(LEFT + 34, 18), norm(LEFT + 64, 23, "‖∂/∂x"),
          line(`M${LEFT + 152} 18h44`, true), square(LEFT + 174, 18), norm(LEFT + 204, 23, "‖x"),
        );
        return drawing;
      }

      return function draw(state) {
        const found = norms(network, state);
        map.replaceChildren(chart(state.depth, found));
        map.dataset.gradient = JSON.stringify(found.gradient);
        map.dataset.forward = JSON.stringify(found.forward);
        key.textContent = fill(words.key, state.depth);
        map.setAttribute("aria-label", key.textContent);
        const { gradient, forward } = found;
        sentence.textContent = fill(words.reading, state.depth, said(gradient[0] / gradient[state.depth]), said(forward[state.depth] / forward[0]));
        figure.announce(sentence.textContent);
      };
    },
  });
})();
