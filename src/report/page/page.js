"use strict";
// The theme: the system's, until the reader asks for the other one.
{
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
}
// Tables: a heading sorts by its column, again in the other direction.
for (const table of document.querySelectorAll("table")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const text = (row) => row.cells[column].lastChild?.textContent.trim() ?? "";
      const number = (row) => Number.parseFloat(text(row).replaceAll("\u2212", "-").replace(/^[^\d.-]+/, ""));
      const compare = heading.classList.contains("number")
        ? (a, b) => {
            const [x, y] = [number(a), number(b)];
            // What is not a number stands last in both directions.
            return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : direction * (x - y);
          }
        : (a, b) => direction * text(a).localeCompare(text(b), "en", { numeric: true });
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  });
}
