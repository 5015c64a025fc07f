// Search over the records of search-records.js, in Chinese and English, from the disk too. Index and query are cut into
// terms by the same function: Chinese into pairs of neighbours, Latin into stems, names and formulas whole and in parts.
(function () {
  "use strict";
  const SHOWN = 40;
  const BOOST = { title: 4, defines: 3, trail: 0.4, text: 1, math: 0.8, code: 0.2 };
  const KIND = { point: 1.3, term: 0.35, reference: 0.6, exercise: 0.15 };
  const HAN = /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]/;
  // a run of Chinese | a section's number | a name or a formula's piece: letters joined by _ and ^, a root before it
  const RUN = new RegExp(
    `${HAN.source}+|\\d+(?:\\.\\d+)+|√?[LETTER]+(?:[_^]+[LETTER]+)*|[√∞∑∏∂⊤]`.replaceAll("LETTER", "\\p{Script=Latin}\\p{Script=Greek}\\p{N}"),
    "gu",
  );
  const STOP = new Set("a an and are as at be by do does for from how in is it its of on or that the this to was what when which who why with".split(" "));
  const GREEK = ("alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ " +
    "sigma σ tau τ phi φ varphi φ chi χ psi ψ omega ω Delta Δ Sigma Σ Omega Ω").split(" ");
  const SIGNS = ("top T mid | cdot · times × sum ∑ prod ∏ partial ∂ infty ∞ in ∈ le ≤ ge ≥ leq ≤ geq ≥ approx ≈ neq ≠ to → dots … vdots … " +
    "lVert ‖ rVert ‖").split(" ");
  const GLYPHS = new Map();
  for (const list of [GREEK, SIGNS]) for (let i = 0; i < list.length; i += 2) GLYPHS.set(list[i], list[i + 1]);
  const SPELLED = new Map([["√", "sqrt"], ["∞", "infty"], ["∑", "sum"], ["∏", "prod"], ["∂", "partial"], ["⊤", "t"]]);
  for (let i = 0; i < GREEK.length; i += 2) if (!SPELLED.has(GREEK[i + 1])) SPELLED.set(GREEK[i + 1], GREEK[i]);

  const WORDS = {
    zh: {
      found: (n) => "找到 " + n + " 处" + (n > SHOWN ? "，列出前 " + SHOWN + " 处" : ""),
      none: (query) => "没有找到“" + query + "”。换个说法，或者少写几个字试试。",
    },
    en: {
      found: (n) => n + (n === 1 ? " result" : " results") + (n > SHOWN ? ", the first " + SHOWN + " shown" : ""),
      none: (query) => "Nothing found for “" + query + "”. Try other words, or fewer.",
    },
  };
  const words = WORDS[document.documentElement.lang.toLowerCase().startsWith("zh") ? "zh" : "en"];

  // ---- from TeX to a line that can be read and searched: \frac{QK^{\top}}{\sqrt{d_k}} → QK^T/√d_k
  function plain(tex) {
    let text = tex
      .replace(/\\(?:begin|end|label)\{[^{}]*\}|\\(?:left|right|[bB]igg?[lr]?|quad|qquad|displaystyle|underbrace)(?![a-zA-Z])|\\[!,;:> ]|~/g, " ")
      .replace(/\\(?:mathrm|mathbf|mathbb|mathcal|mathit|text|operatorname|boldsymbol)\b\s*/g, "")
      .replace(/\\\\|&/g, " ")
      .replace(/\\([{}%$_#|])/g, (_, sign) => ({ "{": "(", "}": ")" })[sign] || sign);
    const group = (part) => (/^[^\s+\-/]*$/.test(part.trim()) ? part.trim() : "(" + part.trim() + ")");
    for (let before = ""; before !== text; ) {
      before = text;
      text = text
        .replace(/\\sqrt\s*\{([^{}]*)\}/g, (_, part) => "√" + group(part))
        .replace(/\s*([_^])\s*\{([^{}]*)\}/g, (_, sign, part) => sign + group(part))
        .replace(/\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, (_, over, under) => group(over) + "/" + group(under));
      if (before === text) text = text.replace(/\{([^{}]*)\}/g, "$1");
    }
    return text
      .replace(/\\sqrt\s*/g, "√")
      .replace(/\\([a-zA-Z]+)(\s?)/g, (_, name, space) => (GLYPHS.has(name) ? GLYPHS.get(name) + (/\p{L}/u.test(GLYPHS.get(name)) ? "" : space) : name + " "))
      .replace(/\s+/g, " ")
      .replace(/\( | (?=[),/])|\/ /g, (space) => space.trim())
      .replace(/(\p{Ll}{2,}) \(/gu, "$1(")
      .trim();
  }

  const readable = (text) => text.replace(/\\\((.*?)\\\)/g, (_, tex) => plain(tex));

  // ---- from text to terms
  // one character for one, so that places in the folded text are places in the text: width, case and accents are lost
  const FOLDED = new Map();
  function folded(sign) {
    if (!FOLDED.has(sign)) {
      const whole = sign.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
      FOLDED.set(sign, whole.length === 1 ? whole : sign);
    }
    return FOLDED.get(sign);
  }
  const fold = (text) => text.toLowerCase().replace(/[^\x00-\x7f\u3400-\u9fff]/g, folded);

  // heads → head, masking, masked → mask, encode, encoding → encod, normalization, normalized → normaliz
  function stem(word) {
    if (word.length < 4 || /[^a-z]/.test(word)) return word;
    let root = word
      .replace(/ies$/, "y")
      .replace(/(ss|x|ch|sh)es$/, "$1")
      .replace(/([^sui])s$/, "$1")
      .replace(/(.{6,})al$/, "$1")
      .replace(/i[sz]ation$/, "ize")
      .replace(/ation$/, "ate");
    const bare = root.replace(/(?:ing|ed)$/, "");
    if (bare !== root && bare.length > 2 && /[aeiouy]/.test(bare)) root = bare.replace(/([bdgmnprt])\1$/, "$1");
    return root.length > 3 ? root.replace(/e$/, "") : root;
  }

  // the parts of a name or of a formula: scaled_dot → scaled, dot; LayerNorm → layer, norm; √d_k → sqrt, d_k
  function parts(run) {
    if (/^√./.test(run)) return ["√", run.slice(1)];
    if (/[_^]/.test(run)) return run.split(/[_^]+/);
    const humps = run.match(/\p{Lu}{2,}s?(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lu}+|\p{N}+|./gu) || [];
    return humps.length > 1 && humps.every((hump) => hump.length > 1) ? humps : [];
  }

  function spell(run) {
    const word = fold(run);
    return SPELLED.get(word) || stem(word);
  }

  // a run that is not Chinese: its terms, whole first, then the parts, and theirs
  const SPELT = new Map();
  function spellings(run) {
    if (!SPELT.has(run)) {
      const list = [spell(run)];
      for (let pieces = parts(run); pieces.length; pieces = pieces.flatMap(parts)) list.push(...pieces.map(spell));
      SPELT.set(run, list);
    }
    return SPELT.get(run);
  }

  // the runs of a text with their places: {text, at, end, han}; single capitals side by side are a product: Q K^T is QK^T
  const PRODUCT = /(?<![\p{L}\p{N}])\p{Lu}(?= \p{Lu}(?![\p{L}\p{N}]))/gu;
  function runs(text) {
    const dropped = [];
    for (const match of text.matchAll(PRODUCT)) dropped.push(match.index + 1);
    let kept = text;
    for (const at of dropped.slice().reverse()) kept = kept.slice(0, at) + kept.slice(at + 1);
    const found = [];
    let before = 0; // how many were dropped up to here
    for (const match of kept.matchAll(RUN)) {
      const run = match[0];
      while (before < dropped.length && dropped[before] <= match.index + before) before++;
      const at = match.index + before;
      while (before < dropped.length && dropped[before] < at + run.length) before++;
      found.push({ text: run, at, end: match.index + before + run.length, han: HAN.test(run[0]) });
    }
    return found;
  }

  // Chinese goes into the index as hexadecimal: a tree of terms with thousands of branches at its root is slow
  const CODES = new Map();
  function code(sign) {
    if (!CODES.has(sign)) CODES.set(sign, sign.charCodeAt(0).toString(16));
    return CODES.get(sign);
  }
  const pair = (first, second = "") => "=" + code(first) + (second && code(second));
  const apart = (first, second) => "~" + code(first) + code(second);
  const chinese = (term) => term[0] === "=" || term[0] === "~";

  // calls put(term, at, end) for all terms of a text
  function cut(text, put) {
    for (const { text: run, at, end, han } of runs(text)) {
      if (!han) {
        for (const term of spellings(run)) put(term, at, end);
        continue;
      }
      for (let i = 0; i + 1 < run.length; i++) put(pair(run[i], run[i + 1]), at + i, at + i + 2);
      for (let i = 0; i + 2 < run.length; i++) put(apart(run[i], run[i + 2]), at + i, at + i + 3); // 优缺点 for 优点
      put(pair(run[run.length - 1]), end - 1, end); // single characters are found as beginnings of pairs, and the last so
    }
  }

  // ---- the index
  const records = (window.LLMBook && window.LLMBook.searchRecords) || [];
  const vocabulary = new Set();
  let index = null;

  const fields = (record) => ({
    title: readable(record.title),
    trail: record.trail.map(readable).join(" "),
    text: readable(record.text || ""),
    defines: record.defines || "",
    math: (record.math || "").split("\n").map(plain).join("\n"),
    code: record.code || "",
  });

  function build() {
    const start = performance.now();
    index = new MiniSearch({
      fields: Object.keys(BOOST),
      tokenize: (text, field) => {
        const list = [];
        cut(text, (term) => list.push(term));
        for (const term of list) vocabulary.add(term);
        return field === "code" || field === "math" ? [...new Set(list)] : list;
      },
      processTerm: (term) => term,
    });
    index.addAll(records.map((record, id) => ({ id, ...fields(record) })));
    performance.measure("search index", { start });
  }

  // ---- the query
  // a run: all pairs of its characters, apart by one where the book has no such pair; a name whole or all its parts
  function wanted(run) {
    if (run.han) {
      const signs = [...run.text];
      if (signs.length === 1) return { combineWith: "AND", queries: [pair(signs[0])] };
      const pairs = signs.slice(1).map((sign, i) => (vocabulary.has(pair(signs[i], sign)) ? pair : apart)(signs[i], sign));
      return { combineWith: "AND", queries: pairs };
    }
    const whole = spell(run.text);
    const pieces = parts(run.text);
    if (!pieces.length) return whole;
    return { combineWith: "OR", queries: [whole, { combineWith: "AND", queries: pieces.map((piece) => wanted({ text: piece, han: false })) }] };
  }

  const latin = (term) => /^[a-z]+$/.test(term);
  const OPTIONS = {
    boost: BOOST,
    tokenize: (term) => [term],
    processTerm: (term) => term,
    // one Chinese character: all pairs that begin with it; Latin: longer words, and near ones where there is no such word
    prefix: (term) => (chinese(term) ? term.length === 5 : latin(term) && term.length > 2),
    fuzzy: (term) => (latin(term) && term.length > 3 && !vocabulary.has(term) ? (term.length > 6 ? 2 : 1) : false),
    boostTerm: (term) => (/[_^√]/.test(term) ? 8 : 1), // a whole name or formula counts more than its parts
    weights: { prefix: 0.3, fuzzy: 0.4 },
  };

  // how often the words of the query stand in a text as they were written: 1 where all do
  function literal(folded, pieces) {
    return pieces.filter((piece) => folded.includes(piece)).length / pieces.length;
  }

  function search(query) {
    if (!index) build();
    const tidy = readable(/\\[a-z]/i.test(query) && !query.includes("\\(") ? "\\(" + query + "\\)" : query).replace(/根号\s*/g, "√").trim();
    let asked = runs(tidy);
    if (asked.some((run) => !STOP.has(fold(run.text)))) asked = asked.filter((run) => !STOP.has(fold(run.text)));
    if (!asked.length) return [];
    const queries = asked.map((run) => wanted(run));
    const hits = index.search({ combineWith: "AND", queries }, OPTIONS);
    const together = new Set(hits.map((hit) => hit.id));
    if (hits.length < 3) {
      // all together hardly anywhere: also what has at least half of the terms
      const single = [...new Set(asked.flatMap((run) => (run.han ? wanted(run).queries : [spell(run.text)])))];
      const some = index.search({ combineWith: "OR", queries: single }, OPTIONS);
      hits.push(...some.filter((hit) => !together.has(hit.id) && hit.queryTerms.length * 2 >= single.length));
    }
    const phrase = fold(tidy);
    const pieces = [...new Set(asked.map((run) => (run.han ? run.text : spell(run.text))))];
    return hits
      .map((hit) => {
        const record = records[hit.id];
        const { title, defines, text, math } = fields(record);
        const [head, bold, body] = [title, defines, text + "\n" + math].map(fold);
        const kind = record.kind || (/\/exercises\.html#/.test(record.url) ? "exercise" : /^\d+\.\d+\.\d+ /.test(title) ? "point" : "");
        const weight =
          (together.has(hit.id) ? 1 : 0.5) *
          (KIND[kind] || 1) *
          (1 + 2 * literal(head, pieces) + (head.includes(phrase) ? 1 : 0)) *
          (1 + literal(bold, pieces)) *
          (1 + literal(body, pieces) + (body.includes(phrase) ? 1 : 0)) *
          (1.2 - (0.2 * hit.id) / records.length); // what stands earlier introduces it
        return { url: record.url, title, trail: record.trail.map(readable), score: hit.score * weight, record, terms: new Set(Object.keys(hit.match)), asked };
      })
      .sort((one, other) => other.score - one.score);
  }

  // ---- what is shown
  // the places to mark: Chinese runs where they stand whole, else their pairs; Latin terms that were matched
  function places(text, hit) {
    const flat = fold(text);
    const whole = hit.asked.filter((run) => run.han && flat.includes(run.text)).map((run) => run.text);
    const found = [];
    for (const run of whole) {
      for (let at = flat.indexOf(run); at >= 0; at = flat.indexOf(run, at + 1)) found.push([at, at + run.length, run]);
    }
    const asked = hit.asked.filter((run) => !run.han).map((run) => spellings(run.text));
    const pieces = new Set(asked.filter(([name]) => hit.terms.has(name)).flatMap(([, ...rest]) => rest)); // of names that stand whole
    for (const [name] of asked) pieces.delete(name);
    const shown = new Set(whole.join(""));
    const covered = (at, end) => [...text.slice(at, end)].every((sign) => shown.has(sign));
    cut(text, (term, at, end) => {
      if (hit.terms.has(term) && !pieces.has(term) && !(chinese(term) && covered(at, end))) found.push([at, end, term]);
    });
    found.sort((one, other) => one[0] - other[0] || other[1] - one[1]);
    const merged = [];
    for (const [at, end, term] of found) {
      const last = merged[merged.length - 1];
      if (last && at <= last.end - 1) {
        last.end = Math.max(last.end, end);
        last.terms.add(term);
      } else merged.push({ at, end, terms: new Set([term]) });
    }
    return merged;
  }

  function marked(parent, text, spots, from, to) {
    let done = from;
    for (const spot of spots) {
      if (spot.at < from || spot.end > to) continue;
      parent.append(text.slice(done, spot.at));
      const mark = document.createElement("mark");
      mark.textContent = text.slice(spot.at, spot.end);
      parent.append(mark);
      done = spot.end;
    }
    parent.append(text.slice(done, to));
  }

  // the stretch with the most different terms, in the text, else in the formulas, else in the code
  function excerpt(parent, hit) {
    const { text, math, code } = fields(hit.record);
    const [source, spots] = [text, math.replace(/\n/g, "   "), code.replace(/\s+/g, " ")]
      .map((part) => [part, places(part, hit)])
      .find(([, found]) => found.length) || [text, []];
    const wide = HAN.test(source.slice(0, 200));
    const [before, length] = wide ? [24, 110] : [60, 240];
    let best = 0;
    let most = -1;
    for (const spot of spots) {
      const seen = new Set();
      for (const other of spots) if (other.at >= spot.at && other.end <= spot.at + length - before) for (const term of other.terms) seen.add(term);
      if (seen.size > most) [best, most] = [spot.at, seen.size];
    }
    let from = best > before ? best - before : 0;
    if (from && !HAN.test(source[from])) from = Math.min(best, source.indexOf(" ", from) + 1 || best);
    let to = Math.min(source.length, from + length);
    if (to < source.length && /[a-z]/i.test(source[to])) to = Math.max(source.lastIndexOf(" ", to), from);
    if (from) parent.append("…");
    marked(parent, source, spots, from, to);
    if (to < source.length) parent.append("…");
  }

  function item(hit) {
    const entry = document.createElement("li");
    if (hit.trail.length) {
      const trail = document.createElement("p");
      trail.className = "llmbook-search-trail";
      trail.textContent = hit.trail.join(" › ");
      entry.append(trail);
    }
    const title = document.createElement("h2");
    const link = document.createElement("a");
    link.href = hit.url;
    marked(link, hit.title, places(hit.title, hit), 0, hit.title.length);
    title.append(link);
    const text = document.createElement("p");
    excerpt(text, hit);
    entry.append(title, ...(text.textContent ? [text] : []));
    return entry;
  }

  window.LLMBook = window.LLMBook || {};
  window.LLMBook.search = search;
  window.LLMBook.plain = plain;

  // ---- the page
  const field = document.querySelector(".llmbook-search input[name=q]");
  if (!field) return;
  const count = document.querySelector(".llmbook-search-count");
  const list = document.querySelector(".llmbook-search-results");
  let shown = null;
  let timer = 0;

  function show(query) {
    clearTimeout(timer);
    if (query === shown) return;
    shown = query;
    const hits = query ? search(query) : [];
    list.replaceChildren(...hits.slice(0, SHOWN).map(item));
    count.textContent = !query ? "" : hits.length ? words.found(hits.length) : words.none(query);
  }

  function remember(query, how) {
    const url = location.pathname + (query ? "?q=" + encodeURIComponent(query) : "");
    try {
      history[how]({}, "", url);
    } catch (error) {
      return; // some browsers refuse this on the disk; only the address stays as it was
    }
  }

  const asked = () => (new URLSearchParams(location.search).get("q") || "").trim();

  field.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (event.isComposing) return; // pinyin on its way to characters
    timer = setTimeout(() => {
      remember(field.value.trim(), "replaceState");
      show(field.value.trim());
    }, 150);
  });
  field.addEventListener("compositionend", () => field.dispatchEvent(new Event("input")));
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = field.value.trim();
    if (query !== asked()) remember(query, "pushState");
    show(query);
  });
  window.addEventListener("popstate", () => {
    field.value = asked();
    show(asked());
  });

  // arrows go from the field to the results and among them
  document.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = [field, ...list.querySelectorAll("a")];
    const next = stops[stops.indexOf(document.activeElement) + step];
    if (!stops.includes(document.activeElement) || !next) return;
    event.preventDefault();
    next.focus();
  });

  field.value = asked();
  field.focus();
  show(asked());
  if (!index) setTimeout(() => index || build(), 0); // ready before the first letter
})();
