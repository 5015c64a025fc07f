// The book's Transformer in the page (llmbook/models/transformer.py): one sequence at a time, no padding, float32.
// A matrix is {rows, cols, data}: data a Float32Array, row after row. Weights lie as in PyTorch, [out, in].
//
//   const model = LLMBook.transformer.load(LLMBook.weights.NAME);
//   model.config                                  the fields of TransformerConfig
//   model.encode(sourceIds, options)              → {memory, maps}; maps[layer][head] is source × source
//   model.decode(targetIds, memory, options)      → {logits, maps: {self, cross}}; logits of the last token, one row,
//                                                   or with {all: true} of all
//   model.greedy(sourceIds, {bosId, eosId, maxNewTokens, options})
//     → {ids, encoder, decoderSelf, cross, cached}; ids are the tokens written, eosId the last of them if it came;
//       row t of decoderSelf[layer][head] (tokens × tokens, zeros for what was not there) and of cross[layer][head]
//       (tokens × source) is what was looked at when token t was written; column t of decoderSelf is the token
//       before it, column 0 bosId
//
// options: {scale: false} leaves out 1/√d_k, {positions: false} adds no positions, {causal: false} lets each token of
// the target see the later ones that are there. Then earlier rows change with each new token, nothing can be kept, and
// greedy computes the whole prefix at each step (cached: false).
(function () {
  "use strict";
  const LLMBook = (window.LLMBook = window.LLMBook || {});

  const matrix = (rows, cols, data = new Float32Array(rows * cols)) => ({ rows, cols, data });
  const row = (m, i) => m.data.subarray(i * m.cols, (i + 1) * m.cols);

  // ---- layers

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

  function load(packed) {
    if (!packed || !packed.config || !packed.tensors) throw new Error("expected packed weights: {config, tensors, data}");
    const config = packed.config;
    const found = unpack(packed);
    const { d_model: width, num_layers: depth, max_seq_len: longest } = config;

    const tensor = (name, ...shape) => {
      const got = found.get(name);
      if (!got || String(got.shape) !== String(shape)) {
        throw new Error(`tensor ${name} has shape [${got ? got.shape : "none"}]; expected [${shape}]`);
      }
      return shape.length === 1 ? got.data : matrix(...shape, got.data);
    };
    const dense = (name, out, into) => ({ weight: tensor(name + ".weight", out, into), bias: tensor(name + ".bias", out) });
    const norm = (name) => ({
      weight: tensor(name + ".weight", width), bias: tensor(name + ".bias", width), eps: config.norm_eps,
    });
    const attention = (name) =>
      Object.fromEntries(["query", "key", "value", "output"].map((part) => [part, dense(`${name}.${part}`, width, width)]));
    const hidden = config.d_ff || 4 * width;
    const layer = (name, crossing) => ({
      normFirst: config.norm_first,
      self: attention(name + ".self_attention"),
      selfNorm: norm(name + ".self_attention_norm"),
      cross: crossing && attention(name + ".cross_attention"),
      crossNorm: crossing && norm(name + ".cross_attention_norm"),
      feedForward: {
        inner: dense(name + ".feed_forward.inner", hidden, width), outer: dense(name + ".feed_forward.outer", width, hidden),
      },
      feedForwardNorm: norm(name + ".feed_forward_norm"),
    });
    const stack = (name, crossing) => Array.from({ length: depth }, (_, i) => layer(`${name}.${i}`, crossing));
    const finalNorm = (name) => (config.norm_first ? norm(name) : null);

    const target = tensor("target_embedding.weight", config.vocab_size, width);
    const shared = config.source_vocab_size === null && config.tie_embeddings;
    const sourceSize = config.source_vocab_size || config.vocab_size;
    const tables = {
      none: () => null,
      sinusoidal: () => sinusoidal(longest, width),
      learned: () => tensor("positions.rows", longest, width),
    };
    const kind = config.positions || "sinusoidal";
    if (!Object.keys(tables).includes(kind)) throw new Error(`positions is ${kind}; expected ${Object.keys(tables).join(", ")}`);
    const parts = {
      target,
      source: shared ? target : tensor("source_embedding.weight", sourceSize, width),
      positions: tables[kind](),
      encoder: stack("encoder", false),
      decoder: stack("decoder", true),
      encoderNorm: finalNorm("encoder_norm"),
      decoderNorm: finalNorm("decoder_norm"),
      output: { weight: config.tie_embeddings ? target : tensor("output.weight", config.vocab_size, width) },
    };
    return transformer(config, parts, found);
  }

  // ---- the model

  function transformer(config, parts, tensors) {
    const settingsOf = ({ scale = true, causal = true, positions = true } = {}) => ({
      scale, causal, positions, numHeads: config.num_heads,
    });
    const normed = (norm, x) => (norm ? layerNorm(norm, x) : x);

    // √d_model times the embedding, plus the position, which counts from `first`
    function embed(side, ids, settings, first = 0) {
      const [table, words] = [parts[side], side === "source" ? "source" : "target"];
      if (!ids.length) throw new Error(`the ${words} is empty; expected at least one token`);
      if (first + ids.length > config.max_seq_len) {
        throw new Error(`the ${words} has ${first + ids.length} tokens; max_seq_len is ${config.max_seq_len}`);
      }
      const x = matrix(ids.length, config.d_model);
      const factor = Math.sqrt(config.d_model);
      const added = settings.positions ? parts.positions : null;
      ids.forEach((id, t) => {
        if (!Number.isInteger(id) || id < 0 || id >= table.rows) {
          throw new Error(`${words} id ${id} at position ${first + t}; expected 0 <= id < ${table.rows}`);
        }
        const [from, to] = [row(table, id), row(x, t)];
        for (let i = 0; i < x.cols; i++) to[i] = from[i] * factor;
        if (added) row(added, first + t).forEach((value, i) => { to[i] += value; });
      });
      return x;
    }

    function encode(sourceIds, options) {
      const settings = { ...settingsOf(options), causal: false };
      let x = embed("source", sourceIds, settings);
      const maps = [];
      for (const layer of parts.encoder) {
        const done = block(layer, x, { settings });
        x = done.x;
        maps.push(done.self);
      }
      return { memory: normed(parts.encoderNorm, x), maps };
    }

    const contextsOf = (memory) => parts.decoder.map((layer) => keysValues(layer.cross, memory));

    // With caches, ids are the new tokens only, and the first of them stands at position `first`.
    function run(ids, { contexts, caches, first, settings, all }) {
      let x = embed("target", ids, settings, first);
      const maps = { self: [], cross: [] };
      parts.decoder.forEach((layer, i) => {
        const done = block(layer, x, { context: contexts[i], cache: caches && caches[i], settings });
        x = done.x;
        maps.self.push(done.self);
        maps.cross.push(done.cross);
      });
      if (!all) x = matrix(1, x.cols, row(x, x.rows - 1));
      return { logits: linear(parts.output, normed(parts.decoderNorm, x)), maps };
    }

    function decode(targetIds, memory, options = {}) {
      if (!memory || memory.cols !== config.d_model || !memory.rows) {
        throw new Error(`expected the memory that encode gives, with ${config.d_model} columns`);
      }
      return run(targetIds, { contexts: contextsOf(memory), settings: settingsOf(options), all: options.all });
    }

    function greedy(sourceIds, { bosId, eosId = null, maxNewTokens = config.max_seq_len, options } = {}) {
      if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1 || maxNewTokens > config.max_seq_len) {
        throw new Error(`maxNewTokens is ${maxNewTokens}; expected 1 to max_seq_len = ${config.max_seq_len}`);
      }
      const settings = settingsOf(options);
      const { memory, maps: encoder } = encode(sourceIds, options);
      const contexts = contextsOf(memory);
      const cached = settings.causal;
      const caches = cached ? parts.decoder.map(() => ({})) : null;
      const [ids, steps] = [[], []];
      while (ids.length < maxNewTokens && (eosId === null || ids[ids.length - 1] !== eosId)) {
        const prefix = [bosId, ...ids];
        const first = cached ? prefix.length - 1 : 0;
        const { logits, maps } = run(prefix.slice(first), { contexts, caches, first, settings });
        ids.push(argmax(logits.data));
        steps.push(maps);
      }
      const stacked = (kind, cols) => parts.decoder.map((_, layer) =>
        Array.from({ length: config.num_heads }, (_, head) => {
          const all = matrix(steps.length, cols);
          steps.forEach((step, t) => {
            const map = step[kind][layer][head];
            row(all, t).set(row(map, map.rows - 1));
          });
          return all;
        }));
      return {
        ids, encoder, decoderSelf: stacked("self", ids.length), cross: stacked("cross", memory.rows), cached,
      };
    }

    return { config, tensors, encode, decode, greedy };
  }

  LLMBook.transformer = { load, sinusoidal };
})();
