/* A table of very many segments has cells without text: this tells which pair one points at, and opens it when clicked.
   Without it the list of pairs below the table leads to the same pages. */
"use strict";

(() => {
  const table = document.querySelector("[data-pairs]");
  const said = document.querySelector("[data-pair-said]");
  if (!table || !said) return;
  const heads = [...table.tHead.rows[0].cells];
  const start = said.textContent;

  const pairOf = (target) => {
    const cell = target.closest("tbody td");
    if (!cell || cell.classList.contains("itself")) return null;
    return [heads[cell.parentElement.rowIndex], heads[cell.cellIndex]];
  };

  table.addEventListener("mouseover", (event) => {
    const pair = pairOf(event.target);
    said.textContent = pair ? pair.map((head) => head.dataset.name).join(" and ") : start;
  });

  table.addEventListener("click", (event) => {
    const pair = pairOf(event.target);
    if (!pair) return;
    const asked = new URLSearchParams({ one: pair[0].dataset.id, other: pair[1].dataset.id });
    window.location.assign(`${table.dataset.pairs}?${asked}`);
  });
})();
