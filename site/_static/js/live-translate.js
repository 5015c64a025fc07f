// needs: transformer, tokenizers, heatmap
// The book's translator in the page: Chinese in, English out, greedily, with its cross-attention.
(function () {
  "use strict";
  const { element, fill } = window.LLMBook.live;
  const { map, table } = window.LLMBook.heatmap;
  const WORDS = {
    zh: {
      text: "中文", layer: "层", head: "头", mean: "平均", writes: "译文：", took: "{0} 个词元进，{1} 个词元出（连 <eos>），{2} 毫秒",
      empty: "请输入含有汉字的文字。", long: "这段文字有 {0} 个词元，这里最多翻译 {1} 个；请分成几段。", map: "交叉注意力：每个英文词元看哪些中文词元",
      endless: "写到 {0} 个词元的上限，没有写完",
      bytes: "\\x.. 是一个字节：这个字不在词表里，按 UTF-8 的字节切开",
      examples: [["单击「确定」按钮关闭对话框。", ""], ["选择要插入的图片文件。", ""], ["打印之前请先保存文档。", ""], ["我爱你。", ""]],
    },
    en: {
      text: "Chinese", layer: "Layer", head: "Head", mean: "mean", writes: "Translation:",
      took: "{0} tokens in, {1} tokens out (with <eos>), {2} ms",
      empty: "Type some text with Chinese characters.",
      long: "This text has {0} tokens; at most {1} are translated here. Cut it into parts.",
      map: "Cross-attention: which Chinese tokens each English token looks at",
      endless: "stopped at the limit of {0} tokens without an end",
      bytes: "\\x.. is one byte: the vocabulary lacks this character, and it is cut into the bytes of its UTF-8",
      examples: [["单击「确定」按钮关闭对话框。", "Click the OK button to close the dialog."], ["选择要插入的图片文件。", "Select the image file to insert."],
        ["打印之前请先保存文档。", "Save the document before printing."], ["我爱你。", "I love you."]],
    },
  };
  const LONGEST = 127; // tokens

  window.LLMBook.live.register("translate", {
    words: WORDS,
    weights: "translator",
    delay: 250,
    defaults: { text: "单击「确定」按钮关闭对话框。", layer: 2, head: 0 },
    build({ words, bar, packed }) {
      const model = window.LLMBook.transformer.load(packed);
      const tokenizer = window.LLMBook.tokenizers.byteBPE(packed.extra.tokenizer);
      const counted = (n) => Array.from({ length: n }, (_, i) => [i + 1, String(i + 1)]);
      bar.text("text", words.text, { lang: "zh-CN", rows: 2, maxlength: 400 });
      bar.examples("text", words.examples);
      bar.choose("layer", words.layer, counted(model.config.num_layers));
      bar.choose("head", words.head, [[0, words.mean], ...counted(model.config.num_heads)]);
      const [bosId, eosId] = [tokenizer.specialIds["<bos>"], tokenizer.specialIds["<eos>"]];
      let last = {};

      function translated(text, tokens) {
        if (last.text !== text) {
          const source = [...tokens, eosId]; // the encoder was trained to read an end too
          const begin = performance.now();
          const found = model.greedy(source, { bosId, eosId, maxNewTokens: LONGEST, options: {} });
          last = { text, source, found, ms: performance.now() - begin };
        }
        return last;
      }

      return function draw(state) {
        const text = state.text.trim().split(/\s+/).join(" ");
        if (!/[\u3400-\u9fff]/.test(text)) return { reading: words.empty };
        const tokens = tokenizer.encode(text);
        if (tokens.length > LONGEST) return { reading: fill(words.long, tokens.length, LONGEST) };
        const { source, found, ms } = translated(text, tokens);
        const ids = found.ids.filter((id) => id !== eosId);
        const ended = ids.length < found.ids.length;
        const rows = [...tokenizer.pieces(ids), ...(ended ? ["<eos>"] : [])];
        const columns = [...tokenizer.pieces(source.slice(0, -1)), "<eos>"];
        const notes = [
          fill(words.took, source.length, found.ids.length, Math.round(ms)), !ended && fill(words.endless, LONGEST),
          columns.some((piece) => piece.includes("\\x")) && words.bytes,
        ];
        const heads = found.cross[state.layer - 1];
        const chosen = state.head ? [heads[state.head - 1]] : heads;
        const value = (row, column) => chosen.reduce((sum, one) => sum + one.data[row * one.cols + column], 0) / chosen.length;
        return {
          reading: [`${words.writes} `, element("q", { lang: "en" }, tokenizer.decode(ids))], note: notes.filter(Boolean).join(words.and),
          picture: map(rows, columns, value), label: words.map, table: table(rows, columns, value),
        };
      };
    },
  });
})();
