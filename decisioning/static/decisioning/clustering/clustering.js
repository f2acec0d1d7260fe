/* The clustering page: columns of the comparison are sorted, facts are found while typing, and the page notices when the
   worker is done. Without it everything is there all the same, in the order of the server, after a reload. */
"use strict";

(() => {
  const page = document.querySelector("[data-clustering]");
  if (!page) return;

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
  };

  const sorted = (rows, column, sign) =>
    rows.sort((one, other) => {
      const [a, b] = [valueOf(one, column), valueOf(other, column)];
      // What was not measured stays below, whichever way one sorts.
      if (a === "" || b === "") return (a === "") - (b === "");
      const both = Number(a) - Number(b);
      return sign * (Number.isNaN(both) ? a.localeCompare(b, undefined, { numeric: true }) : both);
    });

  for (const table of document.querySelectorAll("[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("number") ? "descending" : "ascending";
        const turned = first === "ascending" ? "descending" : "ascending";
        const way = head.getAttribute("aria-sort") === first ? turned : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way);
        table.tBodies[0].append(...sorted([...table.tBodies[0].rows], column, way === "ascending" ? 1 : -1));
      });
    });
  }

  const ask = document.querySelector("[data-ask]");
  if (ask) {
    const opened = () => {
      if (window.location.hash === "#again") ask.open = true;
    };
    opened();
    window.addEventListener("hashchange", opened);
    for (const link of document.querySelectorAll('a[href="#again"]')) link.addEventListener("click", () => (ask.open = true));
    const find = ask.querySelector("[data-find]");
    const said = ask.querySelector("[data-ticked]");
    const boxes = [...ask.querySelectorAll('input[name="facts"]')];
    const count = () => {
      const ticked = boxes.filter((box) => box.checked).map((box) => box.nextElementSibling.textContent);
      said.textContent = ticked.length > 4 ? `${ticked.length} ticked` : `Ticked: ${ticked.join(", ") || "none"}`;
    };
    find.hidden = false;
    find.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLocaleLowerCase().split(/\s+/);
      for (const box of boxes) {
        const text = `${box.parentElement.textContent} ${box.value}`.toLocaleLowerCase();
        box.parentElement.hidden = !words.every((word) => text.includes(word));
      }
      for (const theme of ask.querySelectorAll("[data-theme]")) {
        theme.hidden = !theme.querySelector("label:not([hidden])");
      }
    });
    find.querySelector("input").addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
    ask.addEventListener("change", count);
    count();
  }

  const touched = new Set();
  for (const form of document.querySelectorAll("[data-guarded]")) form.addEventListener("input", () => touched.add(form));

  const run = document.querySelector("[data-run]");
  const old = document.querySelector("[data-old]");
  const home = window.location.pathname.replace(/(compare|persona\/\d+)\/$/, "");
  old.querySelector("a").href = home;

  const showRun = (found) => {
    run.hidden = !found.running;
    if (!found.running) return;
    run.querySelector("[data-run-took]").textContent = found.took;
    const bar = run.querySelector("progress");
    if (found.share === null) bar.removeAttribute("value");
    else bar.value = found.share;
  };

  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(page.dataset.clustering, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) return;
      const found = await answer.json();
      showRun(found);
      if (found.running || found.mark === page.dataset.mark) return;
      const wrong = document.querySelector(".customers-error");
      if (touched.size || wrong) old.hidden = false;
      else if (home === window.location.pathname) window.location.reload();
      else window.location.assign(home);
    } catch {
      // The server is away for a moment: the next look finds it again.
    }
  };
  window.setInterval(look, 3000);
})();
