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
    const fragment = decodeURIComponent(location.hash.slice(1));
    if (shared(fragment)) return fragment;
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
      link.setAttribute("href", fragment ? page + "#" + fragment : page);
      remember(here === "zh" ? "en" : "zh");
    });
  });
})();
