// What the reader has read, point by point, and where to go on. It is kept in this browser's storage and goes nowhere else;
// where storage is refused, or scripts are off, nothing of this is shown.
(function () {
  "use strict";
  const chinese = document.documentElement.lang.toLowerCase().startsWith("zh");
  const words = chinese
    ? { mark: (n) => `读完了 ${n}`, read: "已读", on: "接着读：", count: (n, m) => `全书已写成 ${m} 个要点，读完了 ${n} 个。`,
        chapter: (n, m) => `本章 ${m} 个要点，读完了 ${n} 个。` }
    : { mark: (n) => `I have read ${n}`, read: "read", on: "Continue with ", count: (n, m) => `${n} of the book's ${m} points read.`,
        chapter: (n, m) => `${n} of this chapter's ${m} points read.` };
  const root = document.documentElement.dataset.content_root || "./";

  function load(key, otherwise) {
    try {
      const value = JSON.parse(localStorage.getItem(key));
      return value === null ? otherwise : value;
    } catch (error) {
      return otherwise;
    }
  }

  function store(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
      return true;
    } catch (error) {
      return false;
    }
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  const anchor = (number) => "point-" + number.replaceAll(".", "-");

  // read again before each change: another page may be open
  function numbersRead() {
    const list = load("llmbook-read", []);
    return new Set(Array.isArray(list) ? list : []);
  }

  function tick(link, isRead) {
    const old = link.querySelector(".llmbook-tick");
    if (old) old.remove();
    if (!isRead) return;
    const mark = element("span", "llmbook-tick");
    const sign = element("span", "", " ✓");
    sign.setAttribute("aria-hidden", "true");
    mark.append(sign, element("span", "visually-hidden", chinese ? `（${words.read}）` : ` (${words.read})`));
    link.append(mark);
  }

  // ✓ at points in this page's contents, and in the book's contents at sections whose points are all read
  function showTicks(points) {
    const read = numbersRead();
    document.querySelectorAll('#pst-page-toc-nav a[href^="#point-"]').forEach((link) => {
      tick(link, read.has(link.getAttribute("href").slice("#point-".length).replaceAll("-", ".")));
    });
    const home = new URL(root, location.href).href;
    document.querySelectorAll("#pst-primary-sidebar a.reference.internal").forEach((link) => {
      const page = decodeURI(link.href.split("#")[0].replace(home, "").replace(/\.html$/, ""));
      const here = link.getAttribute("href") === "#" ? pageName() : page;
      if (here in points) tick(link, points[here].every(([number]) => read.has(number)));
    });
  }

  function pageName() {
    const path = location.href.split(/[?#]/)[0];
    return decodeURI(path.replace(new URL(root, location.href).href, "").replace(/\.html$/, ""));
  }

  function addButtons(points) {
    for (const [number] of points[pageName()] || []) {
      const section = document.getElementById(anchor(number));
      if (!section) continue;
      const button = element("button", "btn btn-sm llmbook-read", words.mark(number));
      button.type = "button";
      const show = () => button.setAttribute("aria-pressed", String(numbersRead().has(number)));
      button.addEventListener("click", () => {
        const read = numbersRead();
        if (!read.delete(number)) read.add(number);
        store("llmbook-read", [...read]);
        show();
        showTicks(points);
      });
      show();
      addEventListener("storage", show);
      section.append(button);
    }
    addEventListener("storage", () => showTicks(points));
  }

  // the last point whose head has passed the upper third of the screen is the place to go on from
  function followReader(points) {
    const own = (points[pageName()] || []).map(([number]) => number);
    if (!own.length) return;
    let waiting = false;
    const note = () => {
      waiting = false;
      const passed = own.filter((number) => {
        const section = document.getElementById(anchor(number));
        return section && section.getBoundingClientRect().top < innerHeight / 3;
      });
      if (passed.length) store("llmbook-place", passed[passed.length - 1]);
    };
    addEventListener("scroll", () => {
      if (!waiting) setTimeout(note, 300);
      waiting = true;
    }, { passive: true });
  }

  // on the book's index and a chapter's: where to go on, and how much is read
  function showProgress(points) {
    const chapter = /^(?:(\d\d-[^/]+)\/)?index$/.exec(pageName() || "index");
    const title = document.querySelector("article h1");
    if (!chapter || !title) return;
    const prefix = chapter[1] ? chapter[1] + "/" : "";
    const pages = Object.keys(points).filter((page) => page.startsWith(prefix));
    const all = pages.flatMap((page) => points[page].map(([number, name]) => ({ page, number, name })));
    const read = numbersRead();
    const done = all.filter((point) => read.has(point.number)).length;
    const place = all.findIndex((point) => point.number === load("llmbook-place", ""));
    const last = all.slice(place).find((point) => place >= 0 && !read.has(point.number)); // or what comes after it
    if (!done && !last) return;
    const line = element("p", "llmbook-progress");
    if (last) {
      const link = element("a", "", `${last.number} ${last.name}`);
      link.href = `${root}${last.page}.html#${anchor(last.number)}`;
      line.append(words.on, link, chinese ? "。" : ". ");
    }
    line.append((prefix ? words.chapter : words.count)(done, all.length));
    title.after(line);
  }

  addEventListener("DOMContentLoaded", () => {
    const points = window.llmbookPoints;
    if (!points || !store("llmbook-storage", 1)) return;
    addButtons(points);
    showTicks(points);
    followReader(points);
    showProgress(points);
  });
})();
