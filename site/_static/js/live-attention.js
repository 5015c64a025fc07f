// The reader of Chinese, with its attention open: what is typed is read aloud in pinyin, and 1/√d, the mask and the positions can be taken away.
(function () {
  "use strict";
  const KINDS = ["encoder", "decoder", "cross"];
  const WORDS = {
    zh: {
      text: "汉字", kind: "注意力", encoder: "编码器（字看字）", decoder: "解码器（音节看音节）", cross: "交叉（音节看字）", layer: "层", head: "头",
      scale: "除以 √d", causal: "因果掩码", positions: "位置编码", reads: "读作", whole: "全部打开时", changed: "有 {0} 处与全部打开时不同",
      same: "与全部打开时相同", endless: "没有写结束符，写满 {0} 个音节后停下", unknown: "训练时没见过的字：{0}", empty: "请输入汉字。",
    },
    en: {
      text: "Characters", kind: "Attention", encoder: "encoder (characters to characters)", decoder: "decoder (syllables to syllables)",
      cross: "cross (syllables to characters)", layer: "Layer", head: "Head", scale: "divide by √d", causal: "causal mask",
      positions: "positions", reads: "Read as", whole: "With all switched on", changed: "{0} places differ from all switched on",
      same: "the same as with all switched on", endless: "no end was written; stopped after {0} syllables",
      unknown: "Never seen in training: {0}", empty: "Type some Chinese characters.",
    },
  };
  const LONGEST = 30;
  const MOST = 40;

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
      const { num_layers, num_heads } = model.config;
      const counted = (n) => Array.from({ length: n }, (_, i) => [i + 1, String(i + 1)]);
      bar.text("text", words.text, { lang: "zh-CN", type: "text", maxlength: LONGEST, size: 24 });
      bar.check("scale", words.scale);
      bar.check("causal", words.causal);
      bar.check("positions", words.positions);
      bar.choose("kind", words.kind, KINDS.map((kind) => [kind, words[kind]]));
      bar.choose("layer", words.layer, counted(num_layers));
      bar.choose("head", words.head, counted(num_heads));
      const reading = element("p", { class: "live-reading" });
      const note = element("p", { class: "live-note" });
      const map = element("div", { class: "live-map", role: "img", tabindex: "0" });
      const numbers = element("details", { class: "live-numbers" }, element("summary", {}, words.numbers));
      figure.stage.append(reading, note, map, numbers);

      function run(symbols, options) {
        const found = model.greedy(characters.encode(symbols), { bosId: 1, eosId: 2, maxNewTokens: MOST, options });
        const ended = found.ids[found.ids.length - 1] === 2;
        return { ...found, ended, syllables: syllables.tokens(found.ids.filter((id) => id !== 2)) };
      }

      return function draw(state) {
        const symbols = [...state.text.trim()];
        map.replaceChildren();
        numbers.replaceChildren(numbers.firstChild);
        note.textContent = "";
        if (symbols.length === 0) {
          reading.textContent = words.empty;
          return;
        }
        const { scale, causal, positions } = state;
        const all = run(symbols, {});
        const now = scale && causal && positions ? all : run(symbols, { scale, causal, positions });
        let differ = Math.abs(now.syllables.length - all.syllables.length);
        reading.replaceChildren(`${words.reads} `);
        now.syllables.forEach((syllable, place) => {
          const other = syllable !== all.syllables[place];
          if (other && place < all.syllables.length) differ += 1;
          reading.append(element(other ? "mark" : "span", { lang: "zh-Latn-pinyin" }, syllable), " ");
        });
        const notes = [];
        if (now !== all) notes.push(differ ? fill(words.changed, differ) : words.same);
        if (!now.ended) notes.push(fill(words.endless, MOST));
        const unseen = symbols.filter((symbol) => characters.encode([symbol])[0] === 3);
        if (unseen.length) notes.push(fill(words.unknown, unseen.join(" ")));
        note.textContent = notes.join(figure.lang === "zh" ? "；" : "; ");
        const written = ["<bos>", ...now.syllables];
        const asked = now.ended ? written : written.slice(0, -1); // each step asks with the token before
        const [maps, rows, columns] = {
          encoder: [now.encoder, symbols, symbols],
          decoder: [now.decoderSelf, asked, asked],
          cross: [now.cross, asked, symbols],
        }[state.kind];
        const weights = maps[state.layer - 1][state.head - 1];
        const value = (row, column) => weights.data[row * weights.cols + column];
        map.append(figure.heatmap(rows, columns, value));
        map.setAttribute("aria-label", `${words[state.kind]}, ${words.layer} ${state.layer}, ${words.head} ${state.head}`);
        numbers.append(element("div", { class: "live-scroll", tabindex: "0" }, figure.table(rows, columns, (row, column) => value(row, column).toFixed(4))));
        figure.announce(`${words.reads} ${now.syllables.join(" ")}. ${note.textContent}`);
      };
    },
  });
})();
