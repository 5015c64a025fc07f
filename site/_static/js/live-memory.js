// needs: plot
// What training keeps in memory, by term: parameters, gradients, optimizer, and the intermediate results for the backward pass.
// The formulas are those of llmbook.costs: activation_memory, num_parameters and parameter_memory.
(function () {
  "use strict";
  const { fill } = window.LLMBook.live;
  const { grouped, bytes: said } = window.LLMBook.numbers;
  const WORDS = {
    zh: {
      batch: "批大小 B", length: "长度 n", width: "宽度 D", heads: "头数 H", layers: "层数 L", vocabulary: "词表大小 V", bytes: "精度",
      float32: "float32，每个数 4 字节", bfloat16: "bfloat16，每个数 2 字节",
      terms: {
        parameters: "参数", gradients: "梯度", optimizer: "优化器状态（AdamW）", norms: "归一化", projections: "投影（Q、K、V 与各头的输出）",
        scores: "注意力权重", feed_forward: "前馈网络", logits: "logits",
      },
      short: { optimizer: "AdamW", projections: "投影", scores: "注意力", feed_forward: "前馈网络" },
      total: "训练要占 {0}：参数、梯度和优化器状态 {1}，中间结果（激活）{2}。全部内存中有 {3}% 随 n² 增长。",
      overtakes: "从 n\u00a0=\u00a0{0} 起，随 n² 增长的部分超过其余的中间结果；从 n\u00a0=\u00a0{1} 起，超过其余的全部。",
      copy: "优化器状态里有三分之一是参数的 float32 副本。", picture: "各项所占内存的条形图。斜线表示随 n² 增长的一项",
    },
    en: {
      batch: "Batch B", length: "Length n", width: "Width D", heads: "Heads H", layers: "Layers L", vocabulary: "Vocabulary V",
      bytes: "Precision", float32: "float32, 4 bytes a value", bfloat16: "bfloat16, 2 bytes a value",
      terms: {
        parameters: "Parameters", gradients: "Gradients", optimizer: "Optimizer state (AdamW)", norms: "Norms",
        projections: "Projections (Q, K, V and the heads’ outputs)", scores: "Attention weights", feed_forward: "Feed-forward network",
        logits: "Logits",
      },
      short: { optimizer: "AdamW", projections: "Projections", scores: "Attention", feed_forward: "Feed-forward" },
      total: "Training needs {0}: {1} for parameters, gradients and optimizer state, " +
        "{2} for intermediate results (activations). Of all this, {3}% grows with n². ",
      overtakes: "The part with n² outweighs the other intermediate results from n\u00a0=\u00a0{0} on, " +
        "and everything else from n\u00a0=\u00a0{1} on. ",
      copy: "A third of the optimizer state is a float32 copy of the parameters.",
      picture: "Bars of the memory that each term takes. Hatching marks the term that grows with n²",
    },
  };
  const GROWTH = { norms: "∝ n", projections: "∝ n", scores: "∝ n²", feed_forward: "∝ n", logits: "∝ n" };
  const WIDTHS = [64, 128, 256, 512, 768, 1024, 2048, 4096]; // each number of heads divides each of them
  const HEADS = [1, 2, 4, 8, 16, 32];
  const VOCABULARIES = [100, 1000, 8000, 32000, 128000];

  // bytes by term
  function memory({ batch, length, width, heads, layers, vocabulary, bytes }) {
    const [B, n, d, L] = [batch, 2 ** length, width, layers];
    const learned = vocabulary * d + L * (12 * d * d + 13 * d) + 2 * d;
    return {
      parameters: bytes * learned,
      gradients: bytes * learned,
      optimizer: 8 * learned + (bytes === 2 ? 4 * learned : 0),
      norms: (2 * L + 1) * B * n * (4 * (3 * d + 1) + d * bytes),
      projections: L * B * n * (8 * d + 2 * d * bytes + 1),
      scores: L * B * n * n * heads * (bytes === 4 ? 4 : 6),
      feed_forward: L * B * n * 4 * d * bytes,
      logits: B * n * (4 * vocabulary + 4 + 9),
    };
  }

  // the least n at which a n² > b n + c
  const overtaking = (a, b, c) => Math.floor((b + Math.sqrt(b * b + 4 * a * c)) / (2 * a)) + 1;

  window.LLMBook.live.register("memory", {
    words: WORDS,
    defaults: { batch: 8, length: 10, width: 512, heads: 8, layers: 6, vocabulary: 32000, bytes: 4 },
    build({ words, bar }) {
      const choices = (numbers) => numbers.map((number) => [number, grouped(number)]);
      bar.slide("batch", words.batch, { min: 1, max: 64 });
      bar.slide("length", words.length, { min: 4, max: 17, text: (power) => grouped(2 ** power) });
      bar.choose("width", words.width, choices(WIDTHS));
      bar.choose("heads", words.heads, choices(HEADS));
      bar.slide("layers", words.layers, { min: 1, max: 48 });
      bar.choose("vocabulary", words.vocabulary, choices(VOCABULARIES));
      bar.choose("bytes", words.bytes, [[4, words.float32], [2, words.bfloat16]]);

      return function draw(state) {
        const terms = memory(state);
        const names = Object.keys(terms);
        const sum = (some) => some.reduce((all, name) => all + terms[name], 0);
        const kept = sum(["parameters", "gradients", "optimizer"]);
        const [linear, quadratic] = [sum(["norms", "projections", "feed_forward", "logits"]), terms.scores];
        const total = kept + linear + quadratic;
        const n = 2 ** state.length;
        const overtakes = [0, kept].map((fixed) => grouped(overtaking(quadratic / n / n, linear / n, fixed)));
        return {
          reading: [
            fill(words.total, said(total), said(kept), said(linear + quadratic), ((100 * quadratic) / total).toFixed(1)),
            fill(words.overtakes, ...overtakes), state.bytes === 2 ? words.copy : "",
          ].join("").trim(),
          picture: window.LLMBook.plot.bars(names.map((name) => ({
            label: words.short[name] || words.terms[name], value: terms[name], text: said(terms[name]), note: GROWTH[name],
            hatched: name === "scores", color: name === "scores" ? "#b2182b" : name in GROWTH ? "#4575b4" : "#878787",
          }))),
          label: words.picture,
          table: { head: ["MB"], rows: names.map((name) => [words.terms[name], (terms[name] / 1e6).toFixed(4)]) },
        };
      };
    },
  });
})();
