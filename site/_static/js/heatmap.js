// A map of weights as SVG: rows are queries, columns are keys; darker is more, and the numbers stand in the cells while they fit.
//
//   LLMBook.heatmap.map(rows, columns, value)     names of rows and columns, value(row, column) from 0 to 1
//   LLMBook.heatmap.table(rows, columns, value)   the same numbers for a figure's table
(function () {
  "use strict";
  const { svg, drawing } = window.LLMBook.live;

  // from near white to dark blue; grey prints keep the order
  function shade(weight) {
    const t = Math.min(1, Math.max(0, weight)) ** 0.8;
    const mix = (from, to) => Math.round(from + (to - from) * t);
    return `rgb(${mix(240, 8)},${mix(244, 64)},${mix(249, 129)})`;
  }

  // an estimate of how many units a name takes, more of Chinese than of Latin letters
  const units = (name) => [...name].reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e7f ? 14 : 9), 0);
  const wide = (names) => Math.max(...names.map(units));

  function map(rows, columns, value) {
    const size = columns.length <= 14 ? 38 : columns.length <= 24 ? 26 : 18;
    const left = Math.max(24, wide(rows)) + 12;
    const slanted = wide(columns) > size;
    const top = slanted ? wide(columns) * 0.75 + 20 : 26;
    const right = slanted ? wide(columns) * 0.75 : 8;
    const made = drawing(left + size * columns.length + right, top + size * rows.length + 6, { scrolls: true });
    columns.forEach((name, column) => {
      const x = left + size * (column + 0.5);
      const turned = slanted ? { transform: `rotate(-45 ${x} ${top - 8})` } : {};
      made.append(svg("text", { x, y: top - 8, "text-anchor": slanted ? "start" : "middle", ...turned }, name));
    });
    rows.forEach((name, row) => {
      const y = top + size * row;
      made.append(svg("text", { x: left - 6, y: y + size / 2 + 5, "text-anchor": "end" }, name));
      columns.forEach((_, column) => {
        const weight = value(row, column);
        const x = left + size * column;
        const cell = svg("g", { "data-row": row, "data-column": column });
        cell.append(svg("title", {}, `${name} → ${columns[column]}: ${weight.toFixed(4)}`));
        cell.append(svg("rect", { x, y, width: size - 1, height: size - 1, fill: shade(weight) }));
        if (size >= 38) {
          const text = weight.toFixed(2).replace(/^0/, "");
          const fill = weight > 0.62 ? "#fff" : "#000";
          cell.append(svg("text", { x: x + size / 2, y: y + size / 2 + 4, "text-anchor": "middle", "font-size": 11.5, fill }, text));
        }
        made.append(cell);
      });
    });
    return made;
  }

  function table(rows, columns, value) {
    return { head: columns, rows: rows.map((name, row) => [name, ...columns.map((_, column) => value(row, column).toFixed(4))]) };
  }

  window.LLMBook.heatmap = { map, table, shade };
})();
