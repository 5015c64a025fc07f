// Live figures: a figure whose picture is `live-NAME.svg` becomes one that answers. What every live figure shares is here:
// controls with labels, state in the address (#fig-id?text=…&scale=off), a reset, a polite announcement, weights on request.
// Without scripts, in print, and until its weights are loaded, a figure is its picture.
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
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value != null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function svg(name, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
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

  // the state after the address: values of the kind that the defaults have, and allowed ones only
  function read(defaults, given, allowed) {
    const state = { ...defaults };
    for (const [key, value] of Object.entries(given || {})) {
      if (!(key in defaults)) continue;
      const kind = typeof defaults[key];
      const typed = kind === "boolean" ? { true: true, false: false }[value] : kind === "number" ? Number(value) : value;
      if (typed !== undefined && !Number.isNaN(typed) && (!allowed[key] || allowed[key](typed))) state[key] = typed;
    }
    return state;
  }

  let counter = 0;
  // each control but the examples stands for one key of the state
  function controls(figure) {
    const all = {};
    const group = element("div", { class: "live-controls", role: "group", "aria-label": words.controls, tabindex: "-1" });
    const add = (key, label, input, read, write, event = "input") => {
      input.id = `live-control-${(counter += 1)}`;
      if (key !== null) {
        input.dataset.key = key;
        input.addEventListener(event, () => figure.change(key, read()));
        all[key] = write;
      }
      const name = element("label", { for: input.id }, label);
      return element("div", { class: "live-control" }, ...(input.type === "checkbox" ? [input, name] : [name, input]));
    };
    return {
      group,
      show: (state) => Object.entries(all).forEach(([key, write]) => write(state[key])),
      text(key, label, attributes = {}) {
        const input = element(attributes.rows ? "textarea" : "input", { spellcheck: "false", autocomplete: "off", ...attributes });
        group.append(add(key, label, input, () => input.value, (value) => { if (input.value !== value) input.value = value; }));
        return input;
      },
      check(key, label) {
        const input = element("input", { type: "checkbox", role: "switch" });
        group.append(add(key, label, input, () => input.checked, (value) => (input.checked = value), "change"));
        return input;
      },
      choose(key, label, options) {
        const input = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
        const numeric = typeof options[0][0] === "number";
        const value = () => (numeric ? Number(input.value) : input.value);
        group.append(add(key, label, input, value, (wanted) => (input.value = String(wanted)), "change"));
        return input;
      },
      // sentences to try, [text, what it says in the page's language or ""]
      examples(key, list) {
        const shown = list.map(([text, gloss]) => element("option", { value: text }, gloss ? `${text} (${gloss})` : text));
        const input = element("select", {}, element("option", { value: "" }, "…"), ...shown);
        group.append(add(null, words.examples, input, () => input.value, () => undefined, "change"));
        input.addEventListener("change", () => {
          if (input.value) figure.change(key, input.value);
          input.value = "";
        });
      },
      slide(key, label, { min, max, step = 1, text = String }) {
        const input = element("input", { type: "range", min, max, step });
        const shown = element("output", { class: "live-value" });
        const write = (value) => {
          input.value = value;
          shown.textContent = text(value);
          input.setAttribute("aria-valuetext", text(value));
        };
        const box = add(key, label, input, () => Number(input.value), write);
        box.append(shown);
        group.append(box);
        return input;
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

  // a table of weights that a screen reader can read: one row a query
  function table(rows, columns, value) {
    const head = element("tr", {}, element("td"), ...columns.map((name) => element("th", { scope: "col" }, name)));
    const body = rows.map((name, row) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...columns.map((_, column) => element("td", {}, value(row, column)))));
    return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  }

  // the table below a map, made when it is opened; {details, fill(rows, columns, value)}
  function numbers() {
    const details = element("details", { class: "live-numbers" }, element("summary", {}, words.numbers));
    const holder = element("div", { class: "live-scroll", tabindex: "0" });
    details.append(holder);
    let make = () => [];
    const show = () => holder.replaceChildren(...(details.open ? make() : []));
    details.addEventListener("toggle", show);
    return {
      details,
      fill(rows, columns, value) {
        make = () => [table(rows, columns, (row, column) => value(row, column).toFixed(4))];
        show();
      },
    };
  }

  // A map of weights as SVG: rows are queries, columns are keys; darker is more, and the numbers stand in the cells while they fit.
  function heatmap(rows, columns, value) {
    const size = columns.length <= 14 ? 38 : columns.length <= 24 ? 26 : 18;
    const wide = (names) => Math.max(...names.map((name) => [...name].reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e7f ? 14 : 9), 0)));
    const left = Math.max(24, wide(rows)) + 12;
    const slanted = wide(columns) > size;
    const top = slanted ? wide(columns) * 0.75 + 20 : 26;
    const width = left + size * columns.length + (slanted ? wide(columns) * 0.75 : 8);
    const drawing = svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(top + size * rows.length + 6)}`,
      width: Math.ceil(width), height: Math.ceil(top + size * rows.length + 6), "font-family": "system-ui, 'Noto Sans CJK SC', sans-serif",
      "font-size": 14, fill: "#222",
    });
    columns.forEach((name, column) => {
      const x = left + size * (column + 0.5);
      const turned = slanted ? { transform: `rotate(-45 ${x} ${top - 8})` } : {};
      drawing.append(svg("text", { x, y: top - 8, "text-anchor": slanted ? "start" : "middle", ...turned }, name));
    });
    rows.forEach((name, row) => {
      const y = top + size * row;
      drawing.append(svg("text", { x: left - 6, y: y + size / 2 + 5, "text-anchor": "end" }, name));
      columns.forEach((_, column) => {
        const weight = value(row, column);
        const x = left + size * column;
        const cell = svg("g", { "data-row": row, "data-column": column });
        cell.append(svg("title", {}, `${name} → ${columns[column]}: ${weight.toFixed(4)}`));
        cell.append(svg("rect", { x, y, width: size - 1, height: size - 1, fill: shade(weight) }));
        if (size >= 38) {
          const text = weight.toFixed(2).replace(/^0/, "");
          cell.append(svg("text", { x: x + size / 2, y: y + size / 2 + 4, "text-anchor": "middle", "font-size": 11.5, fill: weight > 0.62 ? "#fff" : "#000" }, text));
        }
        drawing.append(cell);
      });
    });
    return drawing;
  }

  // from near white to dark blue; grey prints keep the order
  function shade(weight) {
    const t = Math.min(1, Math.max(0, weight)) ** 0.8;
    const mix = (from, to) => Math.round(from + (to - from) * t);
    return `rgb(${mix(240, 8)},${mix(244, 64)},${mix(249, 129)})`;
  }

  // maker: {words: {zh, en}, defaults, allowed, weights: name or null, build(figure) -> draw(state)}
  function register(name, maker) {
    makers[name] = maker;
  }

  function enhance(holder) {
    const picture = holder.querySelector("img");
    const name = /live-([a-z-]+)\.svg/.exec(picture.getAttribute("src"))[1];
    const maker = makers[name];
    if (!maker) return;
    const defaults = maker.defaults;
    const stage = element("div", { class: "live-stage" });
    const said = element("p", { class: "live-said visually-hidden", "aria-live": "polite" });
    const figure = {
      id: holder.id, words: { ...words, ...maker.words[lang] }, lang, stage, element, svg, heatmap, numbers, fill, shade,
      state: read(defaults, addressed(holder.id), maker.allowed || {}),
      change(key, value) {
        figure.state = { ...figure.state, [key]: value };
        remember(figure.id, figure.state, defaults);
        figure.redraw();
      },
      announce(text) {
        clearTimeout(figure.timer);
        figure.timer = setTimeout(() => (said.textContent = text), 400);
      },
    };

    async function start() {
      if (figure.started) return;
      figure.started = true;
      try {
        if (maker.weights) {
          button.disabled = true;
          button.textContent = words.loading;
          figure.packed = await loadScript(maker.weights);
        }
      } catch (error) {
        figure.started = false;
        button.disabled = false;
        button.textContent = fill(words.failed, error.message);
        return;
      }
      const bar = controls(figure);
      const draw = maker.build(figure, bar);
      const reset = element("button", { type: "button", class: "live-reset" }, words.reset);
      reset.addEventListener("click", () => {
        figure.state = { ...defaults };
        remember(figure.id, figure.state, defaults);
        figure.redraw();
      });
      bar.group.append(reset);
      figure.redraw = () => {
        bar.show(figure.state);
        draw(figure.state);
      };
      stage.prepend(bar.group);
      stage.append(said);
      picture.classList.add("live-off"); // but on paper
      (picture.closest("a") || picture).after(stage);
      button.remove();
      figure.redraw();
      holder.dataset.live = "on";
    }

    const size = maker.weights && window.LLMBook.sizes[maker.weights];
    const button = element("button", { type: "button", class: "live-start" }, fill(words.loads, size));
    button.addEventListener("click", () => start().then(() => {
      const group = stage.querySelector(".live-controls");
      if (group) group.focus(); // its first control is the next stop; a phone does not unfold its keyboard
    }));
    if (maker.weights) (picture.closest("a") || picture).after(button);
    if (!maker.weights || addressed(holder.id)) start();
    if (addressed(holder.id)) {
      holder.scrollIntoView();
      // formulas above it are set later and move it
      addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(() => holder.scrollIntoView()));
    }
  }

  window.LLMBook.live = { register };
  addEventListener("DOMContentLoaded", () => document.querySelectorAll("figure.live").forEach(enhance));
})();
