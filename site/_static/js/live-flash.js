// needs: tiles, steps, numbers
// Attention in tiles, a tile a step: what is in memory, and how m, ℓ and u of each query go on from tile to tile.
// The order of the tiles and the numbers are those of llmbook.nn.flash_forward.
(function () {
  "use strict";
  const { fill } = window.LLMBook.live;
  const { fixed, minus } = window.LLMBook.numbers;
  const WORDS = {
    zh: {
      block: "块的大小", whole: "6 × 6（整个矩阵）", causal: "因果掩码", step: "第几块", back: "上一步", next: "下一步", of: "{0} / {1}",
      reading: "第 {0} 块，共 {1} 块：算 {2} 与 {3} 的分数。内存里有 {4} 个分数，整个矩阵有 36 个。", done: "{0} 的键都读完了，输出是 u/ℓ。",
      all: "六个输出都有了，与块的大小无关。", note: "{0}：m = {1}，m′ = {2}；{3}；{4}",
      query: "{0}：m = {1}，旧的 ℓ 和 u 乘以 {2}，ℓ = {3}，u = {4}", output: "，输出 {0}",
      kinds: { now: "正在算", thrown: "算过，已扔掉", later: "还没算", skipped: "不用算" },
      memory: "内存里的分数：{0} 个，整个矩阵 36 个",
      label: "六个查询与六个键的分数，每块 {0} × {0}：一块正在算，{1} 块算过、已扔掉，{2} 块还没算，{3} 块全被因果掩码挡住，不用算。" +
        "旁边是正在读的查询的 e^(m−m′)、m′、ℓ′、u′，和读完的查询的输出 u/ℓ。",
    },
    en: {
      block: "Size of a tile", whole: "6 × 6 (the whole matrix)", causal: "Causal mask",
      step: "Tile", back: "Back", next: "Step", of: "{0} of {1}",
      reading: "Tile {0} of {1}: {2} with {3}. Memory holds {4} of the matrix’s 36 scores. ",
      done: "All keys of {0} are read, and the output is u/ℓ. ", all: "The six outputs do not depend on the size of a tile.",
      note: "{0}: m = {1}, m′ = {2}; {3}; {4}",
      query: "{0}: m = {1}, the old ℓ and u times {2}, ℓ = {3}, u = {4}", output: ", output {0}",
      kinds: { now: "computed now", thrown: "thrown away", later: "to come", skipped: "skipped" },
      memory: "scores in memory: {0}; the whole matrix: 36",
      label: "The scores of six queries and six keys in tiles of {0} × {0}. Tiles computed now: 1; computed and thrown away: {1}; " +
        "to come: {2}; skipped, as the causal mask hides all of them: {3}. " +
        "Beside them e^(m−m′), m′, ℓ′ and u′ of the queries at work, and the outputs u/ℓ of those done.",
    },
  };
  const SCORES = [
    [1, 0.5, -0.5, 2, 0, 1], [0.5, 1.5, 2, -0.5, 0.5, 0], [2, 0, 1, 0.5, 3, -0.5],
    [-0.5, 1, 1.5, 0.5, 0, 2.5], [0.5, 1, 2, -1, 1.5, 3], [2.5, 0, 1, 1.5, -0.5, 2],
  ];
  const VALUES = [2, -1, 4, 1, 3, -2];
  const N = VALUES.length;
  const START = { block: 2, causal: true, step: 5 };
  const all = Array.from({ length: N }, (_, i) => i);
  const name = (letter, i) => letter + "₁₂₃₄₅₆"[i];
  const few = (letter, some) => [some[0], some[some.length - 1]].slice(0, some.length).map((i) => name(letter, i)).join("–");
  const score = (i, j, causal) => (causal && j > i ? -Infinity : SCORES[i][j]);
  const tenths = (value) => (Number.isFinite(value) ? fixed(value, 1) : minus("-∞"));
  const [digits, more] = [3, 4].map((count) => (value) => fixed(value, count));

  // the rows and columns of each tile, in their order: a block of queries reads all its keys, then comes the next block
  function tiles({ block, causal }) {
    const blocks = all.slice(0, N / block).map((b) => all.slice(b * block, (b + 1) * block));
    return blocks.flatMap((rows, b) => blocks.slice(0, causal ? b + 1 : N).map((columns) => ({ rows, columns })));
  }

  // m, ℓ and u of each query after some tiles; with `old`, those before its last tile, and `part`, what this one adds to ℓ and u
  function run(some, causal) {
    const queries = all.map(() => ({ m: -Infinity, total: 0, sum: 0 }));
    for (const { rows, columns } of some) {
      for (const i of rows) {
        const { part: _, old: __, ...old } = queries[i];
        const m = Math.max(old.m, ...columns.map((j) => score(i, j, causal)));
        const weights = columns.map((j) => Math.exp(score(i, j, causal) - m));
        const part = { total: weights.reduce((a, w) => a + w, 0), sum: weights.reduce((a, w, place) => a + w * VALUES[columns[place]], 0) };
        const factor = Math.exp(old.m - m);
        queries[i] = { m, factor, total: factor * old.total + part.total, sum: factor * old.sum + part.sum, old, part };
      }
    }
    return queries;
  }

  window.LLMBook.live.register("flash", {
    words: WORDS,
    defaults: START,
    build({ words, bar }) {
      bar.choose("block", words.block, [[6, words.whole], [3, "3 × 3"], [2, "2 × 2"], [1, "1 × 1"]]);
      bar.check("causal", words.causal);
      const show = window.LLMBook.steps.add(bar, "step", words, N * N);

      return function draw({ block, causal, step: asked }) {
        const order = tiles({ block, causal });
        const step = asked <= order.length ? asked : Math.min(START.step, order.length); // an address may ask for what is not there
        show(step, order.length);
        const { rows, columns } = order[step - 1];
        const queries = run(order.slice(0, step), causal);
        const kind = (i, j) => {
          const place = order.findIndex((tile) => tile.rows.includes(i) && tile.columns.includes(j)) + 1;
          return place === 0 ? "skipped" : place < step ? "thrown" : place === step ? "now" : "later";
        };
        const done = all.filter((i) => order.slice(step).every((tile) => !tile.rows.includes(i)));
        const ends = done.includes(rows[0]);
        const counts = ["thrown", "later", "skipped"].map((sort) => all.flatMap((i) => all.filter((j) => kind(i, j) === sort)).length / block ** 2);
        const shown = queries.map(({ m, factor, total, sum }, i) => ({
          ...(rows.includes(i) && { factor: digits(factor), m: tenths(m), total: digits(total), sum: digits(sum) }),
          ...(done.includes(i) && { output: digits(sum / total) }),
        }));
        const reading = fill(words.reading, step, order.length, few("q", rows), few("k", columns), block ** 2) +
          (ends ? fill(words.done, few("q", rows)) : "") + (step === order.length ? words.all : "");
        const said = rows.map((i) => fill(words.query, name("q", i), shown[i].m, shown[i].factor, shown[i].total, shown[i].sum) +
          (ends ? fill(words.output, shown[i].output) : ""));
        const { old, part, ...now } = queries[rows[0]];
        const sum = (key, letter) => `${letter}′ = ${more(now.factor)} × ${more(old[key])} + ${more(part[key])} ≈ ${digits(now[key])}`;
        return {
          reading: reading.trim(), said: `${reading} ${said.join(words.and)}`,
          note: fill(words.note, name("q", rows[0]), tenths(old.m), tenths(now.m), sum("total", "ℓ"), sum("sum", "u")),
          picture: window.LLMBook.tiles.draw({
            block, kind, shown, rows: all.map((i) => name("q", i)), columns: all.map((j) => name("k", j)), values: VALUES.map(minus),
            score: (i, j) => tenths(score(i, j, causal)), legend: words.kinds, memory: fill(words.memory, block ** 2),
          }),
          label: fill(words.label, block, ...counts),
          table: {
            head: [...all.map((j) => name("k", j)), "m", ...["e^(m−m′)", "m′", "ℓ′", "u′", "u/ℓ"]],
            rows: [...shown.map((row, i) => [
              name("q", i), ...all.map((j) => tenths(score(i, j, causal))), rows.includes(i) ? tenths(queries[i].old.m) : "",
              ...["factor", "m", "total", "sum", "output"].map((key) => row[key] || ""),
            ]), ["v", ...VALUES.map(minus), ...new Array(6).fill("")]],
          },
          data: { scores: SCORES, values: VALUES, queries: queries.map(({ m, factor, total, sum: o }) => ({ m, factor, total, sum: o })) },
        };
      };
    },
  });
})();
