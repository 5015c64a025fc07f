// Numbers as a reader sees them, the same in every browser and in both languages.
(function () {
  "use strict";
  const minus = (text) => String(text).replace("-", "−");

  // 1,234,567
  const grouped = (whole) => minus(String(whole).replace(/\B(?=(\d{3})+$)/g, ","));

  // −0.500, with so many digits after the point
  const fixed = (value, digits) => minus(value.toFixed(digits));

  // ⁻⁷
  const raised = (power) => minus(power).replace(/[−\d]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["−0123456789".indexOf(sign)]);

  // three digits: 0.0123, 12.3, 1.23 × 10⁻⁷; 0 is 0
  function short(value) {
    if (!(value > 0 && value < Infinity)) return String(value).replace("Infinity", "∞"); // too small or too large for a number
    const [digits, power] = value.toExponential(2).split("e").map(Number);
    return Math.abs(power) < 3 ? Number(`${digits}e${power}`).toPrecision(3) : `${digits.toFixed(2)} × 10${raised(power)}`;
  }

  // 1.61 GB
  function bytes(value) {
    const [unit, name] = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([size]) => value >= size) || [1, "B"];
    const many = value / unit;
    return `${many.toFixed(many >= 100 ? 0 : many >= 10 ? 1 : 2)} ${name}`;
  }

  window.LLMBook.numbers = { minus, grouped, fixed, short, bytes };
})();
