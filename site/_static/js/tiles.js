// A square matrix of scores in tiles as SVG, what memory holds of it, and numbers of each row beside it, on a phone below it.
//
//   LLMBook.tiles.draw({rows, columns, values, block, kind, score, shown, legend, memory})
//     rows, columns   the names of queries and keys; values: the value of each key, in words
//     kind(i, j)      "now": dark, its score is shown; "thrown": light, with its score; "later": white; "skipped": hatched
//     score(i, j)     a score in words; shown: {factor, m, total, sum, output} of each query, in words, what there is of it
//     legend          what the four kinds are called; memory: a line on the scores in memory, of which `block` squared are dark
(function () {
  "use strict";
  const { svg, drawing } = window.LLMBook.live;
  const NARROW = window.matchMedia("(max-width: 30rem)").matches;
  const FILLS = { now: "#084081", thrown: "#d0dff0", later: "#fff", skipped: "url(#live-tiles-hatching)" };
  const INKS = { now: "#fff", thrown: "#333" };
  const [CELL, LEFT, TOP] = [36, 30, 28];

  function hatching() {
    const side = { width: 6, height: 6 };
    const pattern = svg("pattern", { id: "live-tiles-hatching", ...side, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(svg("rect", { ...side, fill: "#fff" }), svg("rect", { ...side, width: 1.5, fill: "#777" }));
    return svg("defs", {}, pattern);
  }

  function draw({ rows, columns, values, block, kind, score, shown, legend, memory }) {
    const n = rows.length;
    const [long, floor] = [CELL * n, TOP + CELL * n];
    const key = floor + 42; // the legend, then the line on memory
    const line = key + (NARROW ? 56 : 36);
    const [x0, y0, apart, row] = NARROW ? [LEFT + 34, line + 68, 65, 26] : [LEFT + long + 42, TOP, 60, CELL];
    const made = drawing(NARROW ? 360 : 560, NARROW ? y0 + row * n + 4 : line + 38);
    const text = (x, y, parts, more = {}) => made.append(svg("text", { x, y, "text-anchor": "middle", ...more }, ...[parts].flat()));
    const box = (x, y, width, height, fill, more = {}) => made.append(svg("rect", { x, y, width, height, fill, stroke: "#888", ...more }));
    made.append(hatching());

    rows.forEach((name, i) => {
      text(LEFT - 6, TOP + CELL * i + 23, name, { "text-anchor": "end" });
      columns.forEach((_, j) => {
        const [x, y, sort, place] = [LEFT + CELL * j, TOP + CELL * i, kind(i, j), `${i},${j}`];
        box(x, y, CELL, CELL, FILLS[sort], { "data-cell": place, "data-kind": sort });
        if (INKS[sort]) text(x + CELL / 2, y + 23, score(i, j), { fill: INKS[sort], "font-size": 13, "data-score": place });
      });
    });
    columns.forEach((name, j) => {
      text(LEFT + CELL * (j + 0.5), TOP - 8, name);
      text(LEFT + CELL * (j + 0.5), floor + 22, values[j], { "data-value": j });
    });
    text(LEFT - 6, floor + 22, "v", { "text-anchor": "end" });
    const borders = Array.from({ length: n / block + 1 }, (_, b) => CELL * block * b);
    const d = borders.map((at) => `M${LEFT + at} ${TOP}v${long}M${LEFT} ${TOP + at}h${long}`).join("");
    made.append(svg("path", { d, stroke: "#222", "stroke-width": 2, "stroke-linecap": "square", fill: "none" }));

    Object.entries(legend).forEach(([sort, said], place) => {
      const [x, y] = NARROW ? [LEFT + 150 * (place % 2), key + 22 * Math.floor(place / 2)] : [LEFT + 140 * place, key];
      box(x, y, 16, 16, FILLS[sort]);
      text(x + 22, y + 13, said, { "text-anchor": "start" });
    });
    for (let s = 0; s < n * n; s += 1) box(LEFT + 8 * s, line, 8, 12, s < block * block ? FILLS.now : "#fff");
    text(LEFT, line + 30, memory, { "text-anchor": "start" });

    const factor = ["e", svg("tspan", { dy: -5, "font-size": 10 }, "m−m′")];
    const heads = Object.entries({ factor, m: "m′", total: "ℓ′", sum: "u′", output: "u/ℓ" });
    heads.forEach(([, head], place) => text(x0 + apart * place, y0 - 8, head));
    shown.forEach((cells, i) => {
      const y = y0 + row * (i + 0.5) + 5;
      if (NARROW) text(LEFT - 6, y, rows[i], { "text-anchor": "end" });
      heads.forEach(([column], place) => {
        const bold = column === "output" ? { "font-weight": 700 } : {};
        if (cells[column]) text(x0 + apart * place, y, cells[column], { "font-size": 13, "data-query": i, "data-column": column, ...bold });
      });
    });
    return made;
  }

  window.LLMBook.tiles = { draw };
})();
