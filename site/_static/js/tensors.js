// The parts of the book's models in the page (llmbook/nn): one sequence at a time, no padding, float32.
// A matrix is {rows, cols, data}: data a Float32Array, row after row. Weights lie as in PyTorch, [out, in].
//
//   const { linear, layerNorm, feedForward, softmax, attend, embed, block, … } = LLMBook.tensors;
//   const weights = LLMBook.tensors.weights(LLMBook.weights.NAME);
//   weights.config, weights.all                   what was packed: the model's settings, a Map of {shape, data}
//   weights.tensor(name, …shape)                  one of them, a matrix or a vector, of the shape that is expected
//   weights.dense(name, out, in), weights.norm(name, width), weights.attention(name, width),
//   weights.feedForward(name, width, hidden)      what linear, layerNorm, block and feedForward take
(function () {
  "use strict";
  const LLMBook = (window.LLMBook = window.LLMBook || {});

  const matrix = (rows, cols, data = new Float32Array(rows * cols)) => ({ rows, cols, data });
  const row = (m, i) => m.data.subarray(i * m.cols, (i + 1) * m.cols);

  // y = x Wᵀ + b. Four sums at a time, for one sum would wait for itself at each step.
  function linear({ weight, bias }, x) {
    const y = matrix(x.rows, weight.rows);
    const { data: w, rows: width, cols: n } = weight;
    const [input, output, even] = [x.data, y.data, n - (n % 4)];
    for (let t = 0; t < x.rows; t++) {
      const from = t * n;
      for (let o = 0, k = 0; o < width; o++) {
        let a = 0, b = 0, c = 0, d = 0, i = 0;
        for (; i < even; i += 4, k += 4) {
          a += w[k] * input[from + i];
          b += w[k + 1] * input[from + i + 1];
          c += w[k + 2] * input[from + i + 2];
          d += w[k + 3] * input[from + i + 3];
        }
        for (; i < n; i++, k++) a += w[k] * input[from + i];
        output[t * width + o] = a + b + (c + d) + (bias ? bias[o] : 0);
      }
    }
    return y;
  }

  function layerNorm({ weight, bias, eps }, x) {
    const y = matrix(x.rows, x.cols);
    for (let t = 0; t < x.rows; t++) {
      const [from, to] = [row(x, t), row(y, t)];
      let mean = 0, variance = 0;
      for (const value of from) mean += value / x.cols;
      for (const value of from) variance += (value - mean) ** 2 / x.cols;
      const scale = 1 / Math.sqrt(variance + eps);
      for (let i = 0; i < x.cols; i++) to[i] = (from[i] - mean) * scale * weight[i] + bias[i];
    }
    return y;
  }

  function add(x, y) {
    return matrix(x.rows, x.cols, x.data.map((value, i) => value + y.data[i]));
  }

  function feedForward({ inner, outer }, x) {
    const hidden = linear(inner, x);
    hidden.data.forEach((value, i) => { if (value < 0) hidden.data[i] = 0; });
    return linear(outer, hidden);
  }

  function softmax(scores) {
    let [largest, sum] = [-Infinity, 0];
    for (const score of scores) largest = Math.max(largest, score);
    for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(scores[i] - largest);
    for (let i = 0; i < scores.length; i++) scores[i] /= sum;
  }

  // softmax(Q Kᵀ / √d_k) V for each head: its columns of the output, and its weights. The queries are the last rows.
  function attend(query, { key, value }, { numHeads, scale, causal }) {
    const output = matrix(query.rows, query.cols);
    const width = query.cols / numHeads;
    const factor = scale ? 1 / Math.sqrt(width) : 1;
    const maps = [];
    for (let head = 0; head < numHeads; head++) {
      const weights = matrix(query.rows, key.rows);
      const [first, last] = [head * width, (head + 1) * width];
      for (let t = 0; t < query.rows; t++) {
        const [q, out] = [row(query, t), row(output, t)];
        const seen = causal ? t + 1 + key.rows - query.rows : key.rows;
        const p = row(weights, t).subarray(0, seen); // what is not seen stays 0
        for (let s = 0; s < seen; s++) {
          let sum = 0;
          for (let i = first, k = s * key.cols + first; i < last; i++, k++) sum += q[i] * key.data[k];
          p[s] = sum * factor;
        }
        softmax(p);
        for (let s = 0; s < seen; s++) {
          for (let i = first, k = s * value.cols + first; i < last; i++, k++) out[i] += p[s] * value.data[k];
        }
      }
      maps.push(weights);
    }
    return { output, maps };
  }

  const argmax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

  const keysValues = (attention, x) => ({ key: linear(attention.key, x), value: linear(attention.value, x) });

  function below(upper, lower) {
    const data = new Float32Array(upper.data.length + lower.data.length);
    data.set(upper.data);
    data.set(lower.data, upper.data.length);
    return matrix(upper.rows + lower.rows, lower.cols, data);
  }

  // One layer. `context`: keys and values of the memory. `cache`: {key, value} so far, to which those of x are appended.
  function block(layer, x, { context, cache, settings }) {
    const seen = {};
    const sublayer = (x, norm, f) => (layer.normFirst ? add(x, f(layerNorm(norm, x))) : layerNorm(norm, add(x, f(x))));
    const look = (name, attention, given) => (x) => {
      const keys = given(attention, x);
      const causal = name === "self" && settings.causal;
      const { output, maps } = attend(linear(attention.query, x), keys, { ...settings, causal });
      seen[name] = maps;
      return linear(attention.output, output);
    };
    const own = (attention, x) => {
      const { key, value } = keysValues(attention, x);
      if (!cache) return { key, value };
      cache.key = cache.key ? below(cache.key, key) : key;
      cache.value = cache.value ? below(cache.value, value) : value;
      return cache;
    };
    x = sublayer(x, layer.selfNorm, look("self", layer.self, own));
    if (layer.cross) x = sublayer(x, layer.crossNorm, look("cross", layer.cross, () => context));
    return { x: sublayer(x, layer.feedForwardNorm, (x) => feedForward(layer.feedForward, x)), ...seen };
  }

  // factor times the embedding of each id, plus the row of its position, which counts from `first`
  function embed(table, ids, { name, factor = 1, positions = null, first = 0, longest = Infinity }) {
    if (!ids.length) throw new Error(`the ${name} is empty; expected at least one token`);
    if (first + ids.length > longest) throw new Error(`the ${name} has ${first + ids.length} tokens; max_seq_len is ${longest}`);
    const x = matrix(ids.length, table.cols);
    ids.forEach((id, t) => {
      if (!Number.isInteger(id) || id < 0 || id >= table.rows) {
        throw new Error(`${name} id ${id} at position ${first + t}; expected 0 <= id < ${table.rows}`);
      }
      const [from, to] = [row(table, id), row(x, t)];
      for (let i = 0; i < x.cols; i++) to[i] = from[i] * factor;
      if (positions) row(positions, first + t).forEach((value, i) => { to[i] += value; });
    });
    return x;
  }

  // sin, cos interleaved (Vaswani et al. 2017, section 3.5)
  function sinusoidal(rows, dModel, base = 10000) {
    const table = matrix(rows, dModel);
    for (let position = 0; position < rows; position++) {
      for (let i = 0; i < dModel; i += 2) {
        const angle = position * base ** (-i / dModel);
        row(table, position).set([Math.sin(angle), Math.cos(angle)], i);
      }
    }
    return table;
  }

  // ---- reading packed weights (llmbook/site/packing.py)

  function halfToFloat(code) {
    const [sign, exponent, fraction] = [code >> 15 ? -1 : 1, (code >> 10) & 31, code & 1023];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  }

  function unpack(packed) {
    const text = atob(packed.data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const halves = Float32Array.from({ length: 2 ** 16 }, (_, code) => halfToFloat(code));
    const found = new Map();
    for (const { name, shape, offset } of packed.tensors) {
      const size = shape.reduce((product, n) => product * n, 1);
      const codes = new Uint16Array(bytes.slice(offset, offset + 2 * size).buffer);
      const data = Float32Array.from(codes, (code) => halves[code]);
      found.set(name, { shape, data });
    }
    return found;
  }

  function weights(packed) {
    if (!packed || !packed.config || !packed.tensors) throw new Error("expected packed weights: {config, tensors, data}");
    const all = unpack(packed);
    const tensor = (name, ...shape) => {
      const got = all.get(name);
      if (!got || String(got.shape) !== String(shape)) {
        throw new Error(`tensor ${name} has shape [${got ? got.shape : "none"}]; expected [${shape}]`);
      }
      return shape.length === 1 ? got.data : matrix(...shape, got.data);
    };
    const dense = (name, out, into) => ({ weight: tensor(name + ".weight", out, into), bias: tensor(name + ".bias", out) });
    const eps = packed.config.norm_eps;
    return {
      config: packed.config, all, tensor, dense,
      norm: (name, width) => ({ weight: tensor(name + ".weight", width), bias: tensor(name + ".bias", width), eps }),
      attention: (name, width) =>
        Object.fromEntries(["query", "key", "value", "output"].map((part) => [part, dense(`${name}.${part}`, width, width)])),
      feedForward: (name, width, hidden) =>
        ({ inner: dense(name + ".inner", hidden, width), outer: dense(name + ".outer", width, hidden) }),
    };
  }

  LLMBook.tensors = {
    matrix, row, linear, layerNorm, feedForward, softmax, attend, argmax, keysValues, embed, block, sinusoidal, weights,
  };
})();
