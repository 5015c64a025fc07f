// Live figures: a figure whose picture is `live-NAME.svg` becomes one that answers. What every live figure shares is here:
// controls with labels, state in the address (#fig-id?text=…&scale=off), a reset, a polite announcement, weights on request.
// Without scripts, in print, and until its weights are loaded, a figure is its picture.
//
//   LLMBook.live.register("NAME", {words: {zh, en}, defaults, weights, delay, build})
//     words      what `build` gets as `words` in the page's language; the same keys in both
//     defaults   the state at first: booleans, numbers, strings. There is a control for each key
//     weights    the name of the weights that `build` gets as `packed`; they are loaded when the reader asks for them
//     delay      milliseconds without a further change before it is drawn again
//     build({words, bar, packed})   makes the controls, in their order, and returns draw(state)
//   bar.slide(key, label, {min, max, step, text}), bar.choose(key, label, [[value, text], …]), bar.check(key, label),
//   bar.text(key, label, attributes), bar.examples(key, [[text, meaning], …])
//   draw(state) gives what is shown: {reading, note, picture, label, table, said, data}
//     reading    the sentence above: text, or a list of texts and elements
//     note       a smaller line below it
//     picture    an SVG (`LLMBook.plot`, `LLMBook.heatmap`); label: what it shows, in words
//     table      {head, rows, open}: the names of the columns after the first, rows of a name and cells
//     said       what a screen reader is told, unless the reading; data: the exact numbers of the picture, for tests
window.LLMBook = window.LLMBook || {};
(function () {
  "use strict";
  const lang = document.documentElement.lang.toLowerCase().startsWith("zh") ? "zh" : "en";
  const makers = {};
  const COMMON = {
    zh: {
      loads: "启动（要加载 {0} MB 的权重）", loading: "正在加载权重…", failed: "权重没有加载成功：{0}", reset: "复原",
      controls: "图的控件", numbers: "以表格显示这些数", examples: "例子", and: "；",
    },
    en: {
      loads: "Start (loads weights of {0} MB)", loading: "Loading the weights…", failed: "The weights could not be loaded: {0}",
      reset: "Reset", controls: "Controls of the figure", numbers: "The numbers as a table", examples: "Examples", and: "; ",
    },
  };
  const words = COMMON[lang];
  const fill = (text, ...values) => text.replace(/\{(\d)\}/g, (_, index) => values[index]);

  // element("label", {class: "x"}, "text", child)
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function svg(name, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // an empty picture; it shrinks with the page unless it scrolls
  function drawing(width, height, { scrolls = false } = {}) {
    const [wide, high] = [Math.ceil(width), Math.ceil(height)];
    return svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${wide} ${high}`, width: wide, height: high,
      class: scrolls ? "live-scrolls" : "live-fits",
      "font-family": "system-ui, 'PingFang SC', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif", "font-size": 14, fill: "#222",
    });
  }

  // what the address says about a figure: #fig-id?key=value&…
  function addressed(id) {
    const [fragment, query] = location.hash.slice(1).split("?"); // identifiers of figures are ASCII
    return fragment === id && query !== undefined ? Object.fromEntries(new URLSearchParams(query)) : null;
  }

  function remember(id, state, defaults) {
    const changed = Object.entries(state).filter(([key, value]) => String(value) !== String(defaults[key]));
    const query = new URLSearchParams(changed.map(([key, value]) => [key, String(value)]));
    history.replaceState(null, "", changed.length ? `#${id}?${query}` : `#${id}`);
  }

  // the state after the address: values of the kind that the defaults have, and such as the controls can show
  function read(defaults, given, allowed) {
    const state = { ...defaults };
    for (const [key, value] of Object.entries(given || {})) {
      if (!Object.hasOwn(defaults, key)) continue;
      const kind = typeof defaults[key];
      const typed = kind === "boolean" ? { true: true, false: false }[value] : kind === "number" ? Number(value) : value;
      if (String(typed) === value && allowed[key](typed)) state[key] = typed;
    }
    return state;
  }

  let counter = 0;
  // each control but the examples stands for one key of the state, and says which values of it there are
  function controls(change) {
    const [all, allowed] = [{}, {}];
    const group = element("div", { class: "live-controls", role: "group", "aria-label": words.controls, tabindex: "-1" });
    const add = (label, input, ...more) => {
      input.id = `live-control-${(counter += 1)}`;
      const name = element("label", { for: input.id }, label);
      group.append(element("div", { class: "live-control" }, ...(input.type === "checkbox" ? [input, name] : [name, input]), ...more));
    };
    const stand = (key, input, { get, set, allows, event = "input" }) => {
      input.dataset.key = key;
      input.addEventListener(event, () => change(key, get()));
      [all[key], allowed[key]] = [set, allows];
    };
    return {
      group, allowed,
      show: (state) => Object.entries(all).forEach(([key, set]) => set(state[key])),
      text(key, label, attributes = {}) {
        const input = element(attributes.rows ? "textarea" : "input", { spellcheck: "false", autocomplete: "off", ...attributes });
        stand(key, input, {
          get: () => input.value,
          set: (value) => { if (input.value !== value) input.value = value; },
          allows: (value) => !attributes.maxlength || value.length <= attributes.maxlength,
        });
        add(label, input);
      },
      check(key, label) {
        const input = element("input", { type: "checkbox", role: "switch" });
        stand(key, input, { get: () => input.checked, set: (value) => (input.checked = value), allows: () => true, event: "change" });
        add(label, input);
      },
      choose(key, label, options) {
        const input = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
        const values = options.map(([value]) => value);
        stand(key, input, {
          get: () => values[input.selectedIndex],
          set: (value) => (input.value = String(value)),
          allows: (value) => values.includes(value),
          event: "change",
        });
        add(label, input);
      },
      slide(key, label, { min, max, step = 1, text = String }) {
        const input = element("input", { type: "range", min, max, step });
        const shown = element("output", { class: "live-value", for: `live-control-${counter + 1}` });
        stand(key, input, {
          get: () => Number(input.value),
          set: (value) => {
            input.value = value;
            shown.textContent = text(value);
            input.setAttribute("aria-valuetext", text(value));
          },
          allows: (value) => value >= min && value <= max && Number((min + Math.round((value - min) / step) * step).toFixed(6)) === value,
        });
        add(label, input, shown);
      },
      // sentences to try, [text, what it says in the page's language or ""]
      examples(key, list) {
        const shown = list.map(([text, gloss]) => element("option", { value: text }, gloss ? `${text} (${gloss})` : text));
        const input = element("select", {}, element("option", { value: "" }, "…"), ...shown);
        input.addEventListener("change", () => {
          if (input.value) change(key, input.value);
          input.value = "";
        });
        add(words.examples, input);
      },
    };
  }

  function loadScript(name) {
    return new Promise((resolve, reject) => {
      if (window.LLMBook.weights && window.LLMBook.weights[name]) return resolve(window.LLMBook.weights[name]);
      const root = document.documentElement.dataset.content_root || "./";
      const script = element("script", { src: `${root}../weights/${name}.js` });
      script.addEventListener("load", () => resolve(window.LLMBook.weights[name]));
      script.addEventListener("error", () => reject(new Error(`weights/${name}.js`)));
      document.head.append(script);
    });
  }

  function table({ head, rows }) {
    const names = element("tr", {}, element("td"), ...head.map((name) => element("th", { scope: "col" }, name)));
    const body = rows.map(([name, ...cells]) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))));
    return element("table", {}, element("thead", {}, names), element("tbody", {}, ...body));
  }

  // what a figure shows below its controls; the table is made when it is opened
  function showing() {
    const reading = element("p", { class: "live-reading" });
    const note = element("p", { class: "live-note" });
    const map = element("div", { class: "live-map", role: "img" });
    const holder = element("div", { class: "live-scroll", tabindex: "0", role: "region", "aria-label": words.numbers });
    const numbers = element("details", { class: "live-numbers" }, element("summary", {}, words.numbers), holder);
    let now = null;
    const tabulate = () => holder.replaceChildren(...(numbers.open && now ? [table(now)] : []));
    numbers.addEventListener("toggle", tabulate);
    return {
      parts: [reading, note, map],
      show(given) {
        reading.replaceChildren(...[given.reading].flat());
        note.textContent = given.note || "";
        note.hidden = given.note === undefined;
        map.hidden = !given.picture;
        map.replaceChildren(...(given.picture ? [given.picture] : []));
        map.setAttribute("aria-label", given.label || "");
        if (given.picture && given.picture.matches(".live-scrolls")) map.tabIndex = 0;
        if (given.table && !numbers.isConnected) {
          map.after(numbers);
          numbers.open = Boolean(given.table.open);
        }
        if (given.data) map.dataset.numbers = JSON.stringify(given.data);
        now = given.table;
        numbers.hidden = !now;
        tabulate();
        return given.said || reading.textContent;
      },
    };
  }

  function register(name, maker) {
    makers[name] = maker;
  }

  function enhance(holder) {
    const picture = holder.querySelector("img");
    const name = /live-([a-z-]+)\.svg/.exec(picture.getAttribute("src"))[1];
    const { words: texts, defaults, weights, delay, build } = makers[name];
    const stage = element("div", { class: "live-stage" });
    const said = element("p", { class: "live-said visually-hidden", "aria-live": "polite" });
    const shown = showing();
    let [state, started, draw, bar, speaking, waiting] = [defaults, false];

    function redraw() {
      bar.show(state);
      clearTimeout(waiting);
      const now = () => {
        const text = shown.show(draw(state));
        clearTimeout(speaking);
        speaking = setTimeout(() => (said.textContent = text), 400);
      };
      if (delay && started === "drawn") waiting = setTimeout(now, delay);
      else now();
      started = "drawn";
    }

    function changeTo(next) {
      state = next;
      remember(holder.id, state, defaults);
      redraw();
    }

    async function start() {
      if (started) return;
      started = true;
      let packed;
      try {
        if (weights) {
          button.disabled = true;
          button.textContent = words.loading;
          packed = await loadScript(weights);
        }
      } catch (error) {
        started = false;
        button.disabled = false;
        button.textContent = fill(words.failed, error.message);
        return;
      }
      bar = controls((key, value) => changeTo({ ...state, [key]: value }));
      draw = build({ words: { ...words, ...texts[lang] }, bar, packed });
      const lacking = Object.keys(defaults).filter((key) => !(key in bar.allowed));
      if (lacking.length) throw new Error(`the live figure ${name} has no control for ${lacking.join(", ")}`);
      state = read(defaults, addressed(holder.id), bar.allowed);
      const reset = element("button", { type: "button", class: "live-reset" }, words.reset);
      reset.addEventListener("click", () => changeTo(defaults));
      bar.group.append(reset);
      stage.append(bar.group, ...shown.parts, said);
      picture.classList.add("live-off"); // but on paper
      (picture.closest("a") || picture).after(stage);
      button.remove();
      redraw();
      holder.dataset.live = "on";
    }

    const label = weights ? fill(words.loads, window.LLMBook.sizes[weights]) : "";
    const button = element("button", { type: "button", class: "live-start" }, label);
    button.addEventListener("click", () => start().then(() => {
      const group = stage.querySelector(".live-controls");
      if (group) group.focus(); // its first control is the next stop; a phone does not unfold its keyboard
    }));
    if (weights) (picture.closest("a") || picture).after(button);
    if (!weights || addressed(holder.id)) start();
    if (addressed(holder.id)) {
      holder.scrollIntoView();
      // formulas above it are set later and move it
      addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(() => holder.scrollIntoView()));
    }
  }

  window.LLMBook.live = { register, makers, element, svg, drawing, fill };
  addEventListener("DOMContentLoaded", () => document.querySelectorAll("figure.live").forEach(enhance));
})();
