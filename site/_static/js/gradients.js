// Layers with their backward pass, for figures that follow a gradient, and random numbers that are the same everywhere.
// Each function of a vector x gives [its value, back]: back(gradient at the value) is the gradient at x.
(function () {
  "use strict";
  const EPS = 1e-5;

  // mulberry32: uniform in [0, 1)
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
  const transposed = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));

  const same = (x) => [x, (gradient) => gradient];

  // W₂ relu(W₁ x), both weights times the gain, which relu lets through
  function feedForward(x, { inner, outer, innerTransposed, outerTransposed }, gain) {
    const scaled = (y) => y.map((value) => value * gain ** 2);
    const hidden = times(inner, x).map((value) => Math.max(0, value));
    const through = (gradient) => times(outerTransposed, gradient).map((value, j) => (hidden[j] > 0 ? value : 0));
    return [scaled(times(outer, hidden)), (gradient) => scaled(times(innerTransposed, through(gradient)))];
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

  window.LLMBook.gradients = { generator, dot, transposed, step };
})();
