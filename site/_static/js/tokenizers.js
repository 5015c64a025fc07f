// The book's tokenizers in the page: the same ids as llmbook.tokenizers gives for any text.
//
//   LLMBook.tokenizers.characters(symbols)  → {encode(arrayOfSymbols), tokens(ids), vocabSize, padId, bosId, eosId, unkId}
//   LLMBook.tokenizers.byteBPE(json)        → {encode(text), decode(ids), pieces(ids), vocabSize, specialIds}
//                                             json: what is in a tokenizer.json of ours, parsed
//   LLMBook.tokenizers.preTokens(text)      → the pieces that no merge crosses
(function () {
  "use strict";
  const LLMBook = (window.LLMBook = window.LLMBook || {});

  function requireIds(ids, vocabSize) {
    const unknown = Array.from(ids).filter((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (unknown.length) throw new Error(`ids must lie in 0 … ${vocabSize - 1}; got ${unknown.slice(0, 5)}`);
  }

  // ---- one id a symbol (llmbook/tokenizers/characters.py)

  const SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>"];

  function characters(symbols) {
    const vocabulary = [...SPECIAL, ...symbols];
    const ids = new Map(Array.from(symbols, (symbol, i) => [symbol, i + SPECIAL.length]));
    const [padId, bosId, eosId, unkId] = SPECIAL.keys();
    return {
      padId, bosId, eosId, unkId,
      vocabSize: vocabulary.length,
      encode: (text) => Array.from(text, (symbol) => (ids.has(symbol) ? ids.get(symbol) : unkId)),
      tokens(given) {
        requireIds(given, vocabulary.length);
        return Array.from(given, (id) => vocabulary[id]);
      },
    };
  }

  // ---- GPT-2's cut of a text (llmbook/tokenizers/byte_level.py)

  // for the stand-ins: A for \p{L}, 0 for \p{N}, a newline for \s, ! for the rest, an ASCII character for itself
  const PRE_TOKEN = /'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+/g;

  // Letters and numbers of Unicode 17: a browser that knows them must read them as Python does, which knows 16.
  const LATER = `88f-88f c5c-c5c cdc-cdc a7ce-a7cf a7d2-a7d2 a7d4-a7d4 a7f1-a7f1 10940-10959 10ec5-10ec7 11db0-11ddb
    11de0-11de9 16ea0-16eb8 16ebb-16ed3 16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1e6c0-1e6de 1e6e0-1e6e2
    1e6e4-1e6e5 1e6e7-1e6ed 1e6f0-1e6f4 1e6fe-1e6ff 2b73a-2b73f 2cea2-2cead 323b0-33479`
    .split(/\s+/)
    .map((ends) => ends.split("-").map((end) => parseInt(end, 16)));

  function standIn(character) {
    const code = character.codePointAt(0);
    if (code < 128) return character;
    if (LATER.some(([first, last]) => first <= code && code <= last)) return "!";
    if (/\p{L}/u.test(character)) return "A";
    if (/\p{N}/u.test(character)) return "0";
    return /[\p{Z}\x85]/u.test(character) ? "\n" : "!"; // not JavaScript's \s, which holds U+FEFF
  }

  function preTokens(text) {
    const symbols = Array.from(text);
    const known = new Map();
    for (const symbol of symbols) if (!known.has(symbol)) known.set(symbol, standIn(symbol));
    const kinds = symbols.map((symbol) => known.get(symbol)).join("");
    return Array.from(kinds.matchAll(PRE_TOKEN), ({ 0: kind, index }) => symbols.slice(index, index + kind.length).join(""));
  }

  // ---- byte-pair encoding (llmbook/tokenizers/byte_bpe.py)

  // the character that stands for each byte in the file: itself where it can be seen, else the next from U+0100
  const ALPHABET = [];
  for (let byte = 0, hidden = 256; byte < 256; byte++) {
    const visible = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    ALPHABET.push(String.fromCharCode(visible ? byte : hidden++));
  }
  const BYTE_OF = new Map(ALPHABET.map((character, byte) => [character, byte]));

  // Merges the pair that was learned first, of equals the leftmost, until no pair of neighbours was ever learned.
  function applyMerges(tokens, ranks) {
    const rank = (i) => (i >= 0 && i + 1 < tokens.length ? ranks.get(tokens[i] + " " + tokens[i + 1]) ?? Infinity : Infinity);
    const found = tokens.map((_, i) => rank(i));
    for (;;) {
      let best = 0;
      for (let i = 1; i < found.length; i++) if (found[i] < found[best]) best = i;
      if (!(found[best] < Infinity)) return tokens;
      tokens.splice(best, 2, tokens[best] + tokens[best + 1]);
      found.splice(best, 1);
      found[best] = rank(best);
      if (best > 0) found[best - 1] = rank(best - 1);
    }
  }

  // the text of some bytes; with `shown`, a byte that is no part of a whole character as \xE4
  function written(bytes, shown) {
    if (!shown) return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
    let text = "";
    for (let i = 0; i < bytes.length; ) {
      const length = bytes[i] < 0xc0 ? 1 : bytes[i] < 0xe0 ? 2 : bytes[i] < 0xf0 ? 3 : 4;
      try {
        text += strict.decode(bytes.subarray(i, i + length));
        i += length;
      } catch (error) {
        text += "\\x" + bytes[i++].toString(16).toUpperCase().padStart(2, "0");
      }
    }
    return text;
  }

  function byteBPE(json) {
    const { vocab, merges } = json.model;
    const specials = new Map((json.added_tokens || []).map(({ content, id }) => [content, id]));
    const ids = new Map(Object.entries(vocab));
    const ranks = new Map(merges.map((pair, rank) => [typeof pair === "string" ? pair : pair.join(" "), rank]));
    const absent = ALPHABET.filter((character) => !ids.has(character));
    if (absent.length) throw new Error(`the vocabulary lacks ${absent.length} of 256 bytes; expected a file of ours`);

    const made = new Set([...ALPHABET, ...[...ranks.keys()].map((pair) => pair.replace(" ", ""))]);
    const special = (name) => specials.has(name) && !made.has(name);
    const bytesOf = (name) =>
      special(name) ? new TextEncoder().encode(name) : Uint8Array.from(name, (character) => BYTE_OF.get(character));
    const tokens = [];
    for (const [name, id] of [...specials, ...ids]) tokens[id] = bytesOf(name);

    const cache = new Map();
    function encodePiece(piece) {
      if (!cache.has(piece)) {
        const characters = Array.from(new TextEncoder().encode(piece), (byte) => ALPHABET[byte]);
        cache.set(piece, applyMerges(characters, ranks).map((token) => ids.get(token)));
      }
      return cache.get(piece);
    }

    return {
      specialIds: Object.fromEntries(specials),
      vocabSize: tokens.length,
      encode: (text) => preTokens(text).flatMap(encodePiece),
      decode(given) {
        requireIds(given, tokens.length);
        return written(Uint8Array.from(Array.from(given).flatMap((id) => Array.from(tokens[id]))), false);
      },
      pieces(given) {
        requireIds(given, tokens.length);
        return Array.from(given, (id) => written(tokens[id], true));
      },
    };
  }

  LLMBook.tokenizers = { characters, byteBPE, preTokens };
})();
