// needs: transformer, tokenizers, heatmap
// The reader of Chinese, with its attention open: what is typed is read aloud in pinyin, and 1/√d, the mask and the positions
// can be taken away.
(function () {
  "use strict";
  const { element, fill } = window.LLMBook.live;
  const { map, table } = window.LLMBook.heatmap;
  const KINDS = ["encoder", "decoder", "cross"];
  const WORDS = {
    zh: {
      text: "汉字", kind: "注意力", encoder: "编码器（字看字）", decoder: "解码器（音节看音节）", cross: "交叉（音节看字）", layer: "层", head: "头",
      scale: "除以 √d_k", causal: "因果掩码", positions: "位置编码", reads: "读作：", whole: "全部打开时读作：", changed: "多、少或变了 {0} 个音节（画线的）",
      same: "与全部打开时相同", endless: "模型没有写 <eos>，写满 {0} 个音节为止", unknown: "训练时没见过的字：{0}", empty: "请输入汉字。",
      unended: "训练的句子都以标点结尾，这句没有，读法靠不住", long: "比训练里最长的句子（{0} 个字）还长，读法靠不住",
      examples: [["音乐让我快乐。", ""], ["她为了孩子什么都行。", ""], ["我想学数学，因为数学很有意思。", ""], ["他还没还书。", ""]],
    },
    en: {
      text: "Characters", kind: "Attention", encoder: "encoder (characters to characters)", decoder: "decoder (syllables to syllables)",
      cross: "cross (syllables to characters)", layer: "Layer", head: "Head", scale: "divide by √d_k", causal: "causal mask",
      positions: "positional encoding", reads: "Read as:", whole: "With all parts on:",
      changed: "{0} syllable(s) added, lost or changed (underlined)", same: "the same as with all parts on",
      endless: "stopped at {0} syllables; the model never wrote <eos>",
      unknown: "never seen in training: {0}", empty: "Type some Chinese characters.",
      unended: "every sentence in training ended with a punctuation mark; this one does not, and may be misread for that",
      long: "longer than any sentence in training ({0} characters), and may be misread for that",
      examples: [["音乐让我快乐。", "Music makes me happy."], ["她为了孩子什么都行。", "For the child she'd do anything."],
        ["我想学数学，因为数学很有意思。", "I want to learn mathematics, because it is interesting."], ["他还没还书。", "He has not returned the book yet."]],
    },
  };
  const LONGEST = 30;
  const MOST = 40;
  const TRAINED = 18; // characters of the longest sentence in training

  // how many syllables have to be added, dropped or replaced, and which of the first list are not in place in the second
  function difference(now, all) {
    const cost = Array.from({ length: now.length + 1 }, (_, i) => Array.from({ length: all.length + 1 }, (_, j) => i + j));
    for (let i = 1; i <= now.length; i += 1) {
      for (let j = 1; j <= all.length; j += 1) {
        const replaced = cost[i - 1][j - 1] + (now[i - 1] === all[j - 1] ? 0 : 1);
        cost[i][j] = Math.min(replaced, cost[i - 1][j] + 1, cost[i][j - 1] + 1);
      }
    }
    const kept = new Set();
    for (let i = now.length, j = all.length; i && j; ) {
      if (now[i - 1] === all[j - 1] && cost[i][j] === cost[i - 1][j - 1]) kept.add((i -= 1, j -= 1, i));
      else if (cost[i][j] === cost[i - 1][j - 1] + 1) [i, j] = [i - 1, j - 1];
      else if (cost[i][j] === cost[i - 1][j] + 1) i -= 1;
      else j -= 1;
    }
    return { count: cost[now.length][all.length], changed: (place) => !kept.has(place) };
  }

  window.LLMBook.live.register("attention", {
    words: WORDS,
    weights: "pinyin",
    defaults: { text: "音乐让我快乐。", kind: "cross", layer: 1, head: 1, scale: true, causal: true, positions: true },
    build({ words, bar, packed }) {
      const model = window.LLMBook.transformer.load(packed);
      const characters = window.LLMBook.tokenizers.characters(packed.extra.characters);
      const syllables = window.LLMBook.tokenizers.characters(packed.extra.syllables);
      const { bosId, eosId } = syllables;
      const counted = (n) => Array.from({ length: n }, (_, i) => [i + 1, String(i + 1)]);
      bar.text("text", words.text, { lang: "zh-CN", type: "text", maxlength: LONGEST, size: 24 });
      bar.examples("text", words.examples);
      for (const part of ["scale", "causal", "positions"]) bar.check(part, words[part]);
      bar.choose("kind", words.kind, KINDS.map((kind) => [kind, words[kind]]));
      bar.choose("layer", words.layer, counted(model.config.num_layers));
      bar.choose("head", words.head, counted(model.config.num_heads));
      const pinyin = (name, text) => element(name, { lang: "zh-Latn-pinyin" }, text);

      function run(symbols, options) {
        const found = model.greedy(characters.encode(symbols), { bosId, eosId, maxNewTokens: MOST, options });
        const ended = found.ids[found.ids.length - 1] === eosId;
        return { ...found, ended, syllables: syllables.tokens(found.ids.filter((id) => id !== eosId)) };
      }

      // without the mask earlier rows change with each new syllable: what is shown is the last step, with all its rows
      function lastStep(symbols, ids, options) {
        const { memory } = model.encode(characters.encode(symbols), options);
        return model.decode([bosId, ...ids.slice(0, -1)], memory, options).maps.self;
      }

      function notes(symbols, now, all, count) {
        const unseen = symbols.filter((symbol) => symbol.trim() && characters.encode([symbol])[0] === characters.unkId);
        return [
          now !== all && (count ? fill(words.changed, count) : words.same), !now.ended && fill(words.endless, MOST),
          !/[。！？…”]$/.test(symbols.join("")) && words.unended, symbols.length > TRAINED && fill(words.long, TRAINED),
          unseen.length && fill(words.unknown, [...new Set(unseen)].join(" ")),
        ].filter(Boolean).join(words.and);
      }

      return function draw({ text, kind, layer, head, scale, causal, positions }) {
        if (!/[\u3400-\u9fff]/.test(text)) return { reading: words.empty };
        const [symbols, options] = [[...text.trim()], { scale, causal, positions }];
        const all = run(symbols, {});
        const now = scale && causal && positions ? all : run(symbols, options);
        const { count, changed } = difference(now.syllables, all.syllables);
        const reading = now.syllables.flatMap((syllable, place) => [" ", pinyin(changed(place) ? "mark" : "span", syllable)]);
        const whole = element("span", { class: "live-whole" }, `${words.whole} `, pinyin("span", all.syllables.join(" ")));
        const note = notes(symbols, now, all, count);
        const written = [...now.syllables, ...(now.ended ? ["<eos>"] : [])];
        const before = ["<bos>", ...written.slice(0, -1)]; // what the decoder has read when it writes a token
        const [maps, rows, columns] = {
          encoder: () => [now.encoder, symbols, symbols],
          decoder: () => [causal ? now.decoderSelf : lastStep(symbols, now.ids, options), written, before],
          cross: () => [now.cross, written, symbols],
        }[kind]();
        const weights = maps[layer - 1][head - 1];
        const value = (row, column) => weights.data[row * weights.cols + column];
        return {
          reading: [words.reads, ...reading, ...(count ? [whole] : [])], note, said: `${words.reads} ${now.syllables.join(" ")}. ${note}`,
          picture: map(rows, columns, value), label: `${words[kind]}, ${words.layer} ${layer}, ${words.head} ${head}`,
          table: table(rows, columns, value),
        };
      };
    },
  });
})();
