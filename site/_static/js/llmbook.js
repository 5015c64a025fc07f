// The switch of languages stays where the reader is: it keeps the fragment, or takes the section that is on the screen.
(function () {
  "use strict";
  const here = document.documentElement.lang.toLowerCase().startsWith("zh") ? "zh" : "en";

  function remember(language) {
    try {
      localStorage.setItem("llmbook-language", language);
    } catch (error) {
      return; // storage may be refused; the switch works without it
    }
  }

  // identifiers that docutils counted out (id3) differ between the languages
  const shared = (id) => id !== "" && !/^id\d+$/.test(id);

  function place() {
    const fragment = location.hash.slice(1); // as it is: a live figure's state stands behind its label
    const target = document.getElementById(fragment.split("?")[0]);
    const near = target && Math.abs(target.getBoundingClientRect().top) < 2 * innerHeight; // else the reader has gone on
    if (near && shared(fragment)) return fragment;
    const above = [...document.querySelectorAll("article section[id] section[id]")].filter(
      (section) => shared(section.id) && section.getBoundingClientRect().top < innerHeight / 3,
    );
    return above.length ? above[above.length - 1].id : "";
  }

  remember(here);
  document.querySelectorAll(".llmbook-languages a").forEach((link) => {
    const page = link.getAttribute("href");
    link.addEventListener("click", () => {
      const fragment = place();
      link.setAttribute("href", page + location.search + (fragment ? "#" + fragment : "")); // what was searched for goes along
      remember(here === "zh" ? "en" : "zh");
    });
  });
})();

// Where no font of the system has Chinese, all text is set again when the book's own font has come.
(function () {
  "use strict";
  const set = () => {
    const come = [...document.fonts].some((face) => face.family.includes("llmbook CJK") && face.status === "loaded");
    document.documentElement.classList.toggle("llmbook-last-resort", come);
  };
  document.fonts.addEventListener("loadingdone", set);
  set();
})();

// What is folded is printed unfolded, also by browsers whose style sheets can't do it.
(function () {
  "use strict";
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
    opened = [];
  });
})();

// A screen reader is told the reason of the option that was chosen in a quiz.
(function () {
  "use strict";
  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".llmbook-quiz").forEach((quiz) => {
      const said = document.createElement("div");
      said.className = "visually-hidden";
      said.setAttribute("aria-live", "polite");
      quiz.append(said);
      quiz.addEventListener("change", (event) => {
        said.textContent = event.target.closest(".option").querySelector(".reason").textContent;
      });
    });
  });
})();

// A screen reader is told that the code was copied; the button itself only changes its picture.
(function () {
  "use strict";
  addEventListener("DOMContentLoaded", () => {
    const said = document.createElement("div");
    said.className = "visually-hidden";
    said.setAttribute("aria-live", "polite");
    document.body.append(said);
    document.addEventListener("click", (event) => {
      const button = event.target.closest && event.target.closest(".copybtn");
      if (!button) return;
      said.textContent = "";
      setTimeout(() => { said.textContent = button.dataset.tooltip; }, 200);
    });
  });

  // a formula that scrolls by itself is scrolled by keyboard too
  addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(() => {
    document.querySelectorAll('mjx-container[display="true"]').forEach((formula) => {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    });
  }));
})();
