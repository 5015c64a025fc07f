// needs: plot, gradients
// A stack of feed-forward layers: how the gradient's norm runs back through it, with and without residuals and normalization.
(function () {
  "use strict";
  const { fill } = window.LLMBook.live;
  const { short } = window.LLMBook.numbers;
  const { generator, dot, transposed, step } = window.LLMBook.gradients;
  const WORDS = {
    zh: {
      depth: "子层数 F", residual: "残差连接", norm: "层归一化", gain: "权重的倍数 g",
      none: "不用", pre: "前置归一化", post: "后置归一化",
      reading: "{0} 个子层：第一个子层输入处的梯度，范数是输出处的 {1} 倍；x 的范数，输出处是输入处的 {2} 倍",
      key: "实线、圆点：梯度的范数；虚线、方块：x 的范数。横轴：过了 l 个子层之后，0 是输入，{0} 是输出。纵轴取对数。",
      gradient: "梯度的范数", forward: "x 的范数", across: "过了 l 个子层",
    },
    en: {
      depth: "Sublayers F", residual: "Residual connection", norm: "Layer normalization", gain: "Gain of the weights, g",
      none: "none", pre: "pre-norm", post: "post-norm",
      reading: "{0} sublayers: the gradient’s norm at the input of the first is {1} times that at the output; " +
        "the norm of x at the output is {2} times that at the input",
      key: "Solid line, circles: the norm of the gradient. Dashed line, squares: the norm of x. " +
        "Across: after l sublayers, 0 is the input and {0} the output. The vertical scale is logarithmic.",
      gradient: "norm of the gradient", forward: "norm of x", across: "after l sublayers",
    },
  };
  const DEEPEST = 48;
  const [ROWS, WIDTH, INNER] = [16, 32, 64];
  const SERIES = {
    forward: { color: "#b2182b", dash: "5 4", width: 1.8, mark: "square" },
    gradient: { color: "#084081", width: 1.8, mark: "circle" },
  };

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
      return { inner, outer, innerTransposed: transposed(inner), outerTransposed: transposed(outer) };
    });
    return { inputs, gradients, layers };
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

  window.LLMBook.live.register("depth", {
    words: WORDS,
    defaults: { depth: 24, residual: false, norm: "none", gain: 1 },
    build({ words, bar }) {
      bar.slide("depth", words.depth, { min: 1, max: DEEPEST });
      bar.check("residual", words.residual);
      bar.choose("norm", words.norm, [["none", words.none], ["pre", words.pre], ["post", words.post]]);
      bar.slide("gain", words.gain, { min: 0.5, max: 2, step: 0.1, text: (gain) => gain.toFixed(1) });
      const network = makeNetwork();

      return function draw(state) {
        const { depth } = state;
        const found = norms(network, state);
        const powers = Object.values(found).flat().map(Math.log10).filter(Number.isFinite); // nothing is drawn of 0 and ∞
        const [low, high] = [Math.floor(Math.min(...powers)), Math.ceil(Math.max(...powers))];
        const apart = [1, 2, 4, 6].find((layers) => depth / layers <= 8);
        const chart = window.LLMBook.plot.chart({
          x: { from: 0, to: depth, label: words.across, ticks: Array.from({ length: Math.floor(depth / apart) + 1 }, (_, i) => i * apart) },
          y: { from: 10 ** low, to: 10 ** high, log: true },
          legend: ["gradient", "forward"].map((name) => [words[name], SERIES[name]]),
        });
        for (const [name, style] of Object.entries(SERIES)) {
          chart.line(name, found[name].map((value, l) => [l, value]), style);
          found[name].forEach((value, l) => {
            if (l % Math.ceil(depth / 24) === 0 || l === depth) chart.mark(name, l, value, style, `l = ${l}: ${short(value)}`);
          });
        }
        const { gradient, forward } = found;
        const key = fill(words.key, depth);
        return {
          reading: fill(words.reading, depth, short(gradient[0] / gradient[depth]), short(forward[depth] / forward[0])),
          note: key, picture: chart.drawing, label: key, data: found,
          table: { head: [words.gradient, words.forward], rows: gradient.map((value, l) => [l, short(value), short(forward[l])]) },
        };
      };
    },
  });
})();
