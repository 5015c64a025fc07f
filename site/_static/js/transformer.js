// needs: tensors
// The book's Transformer in the page (llmbook/models/transformer.py), over the parts of tensors.js.
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
  const { matrix, row, linear, layerNorm, argmax, keysValues, embed, block, sinusoidal } = LLMBook.tensors;

  function load(packed) {
    const { config, tensor, norm, attention, feedForward } = LLMBook.tensors.weights(packed);
    const { d_model: width, num_layers: depth, max_seq_len: longest } = config;
    const hidden = config.d_ff || 4 * width;
    const layer = (name, crossing) => ({
      normFirst: config.norm_first,
      self: attention(name + ".self_attention", width),
      selfNorm: norm(name + ".self_attention_norm", width),
      cross: crossing && attention(name + ".cross_attention", width),
      crossNorm: crossing && norm(name + ".cross_attention_norm", width),
      feedForward: feedForward(name + ".feed_forward", width, hidden),
      feedForwardNorm: norm(name + ".feed_forward_norm", width),
    });
    const stack = (name, crossing) => Array.from({ length: depth }, (_, i) => layer(`${name}.${i}`, crossing));
    const finalNorm = (name) => (config.norm_first ? norm(name, width) : null);

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
    return transformer(config, parts);
  }

  // ---- the model

  function transformer(config, parts) {
    const settingsOf = ({ scale = true, causal = true, positions = true } = {}) => ({
      scale, causal, positions, numHeads: config.num_heads,
    });
    const normed = (norm, x) => (norm ? layerNorm(norm, x) : x);

    const embedded = (side, ids, { positions }, first = 0) => embed(parts[side], ids, {
      name: side, factor: Math.sqrt(config.d_model), positions: positions ? parts.positions : null, first, longest: config.max_seq_len,
    });

    function encode(sourceIds, options) {
      const settings = { ...settingsOf(options), causal: false };
      let x = embedded("source", sourceIds, settings);
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
      let x = embedded("target", ids, settings, first);
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

    return { config, encode, decode, greedy };
  }

  LLMBook.transformer = { load };
})();
