// The reader of Chinese, with its attention open: what is typed is read aloud in pinyin, and 1/√d, the mask and the positions can be taken away.
(function () {
  "use strict";
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
      positions: "positional encoding", reads: "Read as:", whole: "With all parts on:", changed: "{0} syllable(s) added, lost or changed (underlined)",
      same: "the same as with all parts on", endless: "stopped at {0} syllables; the model never wrote <eos>",
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
    allowed: {
      text: (text) => [...text].length <= LONGEST,
      kind: (kind) => KINDS.includes(kind),
      layer: (layer) => [1, 2].includes(layer),
      head: (head) => [1, 2, 3, 4].includes(head),
    },
    build(figure, bar) {
      const { words, element, fill } = figure;
      const model = window.LLMBook.transformer.load(figure.packed);
      const characters = window.LLMBook.tokenizers.characters(figure.packed.extra.characters);
      const syllables = window.LLMBook.tokenizers.characters(figure.packed.extra.syllables);
      const { bosId, eosId } = syllables;
      const { num_layers, num_heads } = model.config;
      const counted = (n) => Array.from({ length: n }, (_, i) => [i + 1, String(i + 1)]);
      bar.text("text", words.text, { lang: "zh-CN", type: "text", maxlength: LONGEST, size: 24 });
      bar.examples("text", words.examples);
      bar.check("scale", words.scale);
      bar.check("causal", words.causal);
      bar.check("positions", words.positions);
      bar.choose("kind", words.kind, KINDS.map((kind) => [kind, words[kind]]));
      bar.choose("layer", words.layer, counted(num_layers));
      bar.choose("head", words.head, counted(num_heads));
      const reading = element("p", { class: "live-reading" });
      const whole = element("p", { class: "live-whole" });
      const note = element("p", { class: "live-note" });
      const map = element("div", { class: "live-map", role: "img", tabindex: "0" });
      const numbers = figure.numbers();
      figure.stage.append(reading, whole, note, map, numbers.details);

      function run(symbols, options) {
        const found = model.greedy(characters.encode(symbols), { bosId, eosId, maxNewTokens: MOST, options });
        const ended = found.ids[found.ids.length - 1] === eosId;
        return { ...found, ended, syllables: syllables.tokens(found.ids.filter((id) => id !== eosId)) };
      }

      function lastStep(symbols, ids, options) {
        const { memory } = model.encode(characters.encode(symbols), options);
        return model.decode([bosId, ...ids.slice(0, -1)], memory, options).maps.self;
      }

      return function draw(state) {
        const symbols = [...state.text.trim()];
        map.replaceChildren();
        note.textContent = whole.textContent = "";
        if (!/[\u3400-\u9fff]/.test(state.text)) {
          reading.textContent = words.empty;
          figure.announce(words.empty);
          return;
        }
        const { scale, causal, positions } = state;
        const all = run(symbols, {});
        const now = scale && causal && positions ? all : run(symbols, { scale, causal, positions });
        const { count, changed } = difference(now.syllables, all.syllables);
        reading.replaceChildren(`${words.reads} `);
        now.syllables.forEach((syllable, place) => {
          reading.append(element(changed(place) ? "mark" : "span", { lang: "zh-Latn-pinyin" }, syllable), " ");
        });
        if (count) whole.replaceChildren(`${words.whole} `, element("span", { lang: "zh-Latn-pinyin" }, all.syllables.join(" ")));
        const notes = [];
        if (now !== all) notes.push(count ? fill(words.changed, count) : words.same);
        if (!now.ended) notes.push(fill(words.endless, MOST));
        if (!/[。！？…”]$/.test(symbols.join(""))) notes.push(words.unended);
        if (symbols.length > TRAINED) notes.push(fill(words.long, TRAINED));
        const unseen = symbols.filter((symbol) => symbol.trim() && characters.encode([symbol])[0] === characters.unkId);
        if (unseen.length) notes.push(fill(words.unknown, [...new Set(unseen)].join(" ")));
        note.textContent = notes.join(words.and);
        const written = [...now.syllables, ...(now.ended ? ["<eos>"] : [])];
        const before = ["<bos>", ...written.slice(0, -1)]; // what the decoder has read when it writes a token
        const [maps, rows, columns] = {
          encoder: [now.encoder, symbols, symbols],
          decoder: [now.decoderSelf, written, before],
          cross: [now.cross, written, symbols],
        }[state.kind];
        // without the mask earlier rows change with each new syllable: what is shown is the last step, with all its rows
        const last = state.kind === "decoder" && !causal ? lastStep(symbols, now.ids, { scale, causal, positions }) : maps;
        const weights = last[state.layer - 1][state.head - 1];
        const value = (row, column) => weights.data[row * weights.cols + column];
        map.append(figure.heatmap(rows, columns, value));
        map.setAttribute("aria-label", `${words[state.kind]}, ${words.layer} ${state.layer}, ${words.head} ${state.head}`);
        numbers.fill(rows, columns, value);
        figure.announce(`${words.reads} ${now.syllables.join(" ")}. ${note.textContent}`);
      };
    },
  });
})();
