// Steps of a live figure: a slider with two buttons beside it.
//
//   const show = LLMBook.steps.add(bar, key, {step, back, next, of}, most)   after the controls that change how many steps there are
//   show(step, count)   what `draw` shows; of: "{0} of {1}"
// A change of another control starts again at 1; at the end it stays at the end.
(function () {
  "use strict";
  const { element, fill } = window.LLMBook.live;
  const STYLE = "font: inherit; color: var(--pst-color-text-base); background: var(--pst-color-surface); " +
    "border: 1px solid var(--pst-color-text-muted); border-radius: 0.3rem; padding: 0.3rem 0.8rem; cursor: pointer";

  function add(bar, key, words, most) {
    bar.slide(key, words.step, { min: 1, max: most });
    const slider = bar.group.querySelector(`[data-key=${key}]`);
    const shown = slider.nextElementSibling;
    const go = (step) => {
      slider.value = step;
      slider.dispatchEvent(new Event("input"));
    };
    // a button that has the focus keeps it when it has nothing more to do
    const idle = (button) => button.getAttribute("aria-disabled") === "true";
    const buttons = [[words.back, -1], [words.next, 1]].map(([label, by]) => {
      const button = element("button", { type: "button", style: STYLE, "data-by": by }, label);
      button.addEventListener("click", () => idle(button) || go(Number(slider.value) + by));
      return button;
    });
    bar.group.append(element("div", { class: "live-control" }, ...buttons));

    let ended = false;
    bar.group.addEventListener("change", () => (ended = slider.value === slider.max), true); // before the figure is drawn again
    bar.group.addEventListener("change", ({ target }) => target === slider || go(ended ? slider.max : 1));

    return function show(step, count) {
      [slider.max, slider.value] = [count, step];
      shown.textContent = fill(words.of, step, count);
      slider.setAttribute("aria-valuetext", shown.textContent);
      buttons.forEach((button, place) => {
        button.setAttribute("aria-disabled", step === [1, count][place]);
        button.style.opacity = idle(button) ? 0.5 : 1;
      });
    };
  }

  window.LLMBook.steps = { add };
})();
