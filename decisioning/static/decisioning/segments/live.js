/* The map of segments: draws what the page brought, then asks for it anew as often as the server allows, until the page
   is hidden or paused (button, or Space). Without this script the table below stays as of the page's opening. */
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FULL = 0.05; // a net change of so much of the members has the full colour
  const TINY = { width: 34, height: 16 };
  const SMALL = { width: 90, height: 52 };
  const FLAT = { width: 90, height: 92 };

  const figures = new Intl.NumberFormat("en");
  const signed = (number) => (number > 0 ? `+${figures.format(number)}` : number < 0 ? `−${figures.format(-number)}` : "±0");

  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };

  const rectangle = (className, x, y, width, height) => {
    const made = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ class: className, x, y, width, height })) made.setAttribute(name, value);
    return made;
  };

  /* Entries up, exits down, a bar a minute. */
  const bars = (svg, entered, left, height) => {
    const most = Math.max(1, ...entered, ...left);
    const step = 600 / entered.length;
    const half = height / 2;
    const made = [rectangle("segments-hover", 0, half, 600, 0.5)];
    entered.forEach((times, n) => {
      const up = (times / most) * half;
      const down = (left[n] / most) * half;
      if (times) made.push(rectangle("segments-bar-entered", n * step + 1, half - up, step - 2, up));
      if (left[n]) made.push(rectangle("segments-bar-left", n * step + 1, half, step - 2, down));
    });
    svg.replaceChildren(...made);
  };

  class Tile {
    constructor(segment) {
      this.link = element("a", "segments-tile");
      this.link.href = segment.url;
      this.name = element("span", "segments-tile-name");
      this.size = element("span", "");
      this.net = element("span", "console-note");
      this.bars = document.createElementNS(SVG, "svg");
      this.bars.setAttribute("viewBox", "0 0 600 24");
      this.bars.setAttribute("preserveAspectRatio", "none");
      this.bars.setAttribute("aria-hidden", "true");
      this.link.append(this.name, this.size, this.net, this.bars);
    }

    show(segment, box) {
      const [x, y, width, height] = segment.tile;
      Object.assign(this.link.style, {
        left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`,
      });
      const wide = width * box.width;
      const high = height * box.height;
      const below = (limit) => wide < limit.width || high < limit.height;
      this.link.classList.toggle("segments-tiny", below(TINY));
      this.link.classList.toggle("segments-small", below(SMALL));
      this.link.classList.toggle("segments-flat", below(FLAT) || !segment.minutes);
      this.name.textContent = segment.name;
      this.size.textContent = figures.format(segment.size);
      this.net.textContent = segment.entered || segment.left ? `${signed(segment.net)} (+${figures.format(segment.entered)} −${figures.format(segment.left)})` : "";
      const words = `${segment.name}: ${figures.format(segment.size)} members, ${segment.entered} entered, ${segment.left} left in the last hour`;
      this.link.title = words;
      this.link.setAttribute("aria-label", words);
      this.colour(segment);
      if (segment.minutes) bars(this.bars, segment.minutes.entered, segment.minutes.left, 24);
    }

    colour(segment) {
      const share = Math.min(1, Math.abs(segment.net) / Math.max(1, segment.size * FULL));
      const strength = segment.net ? 12 + 48 * Math.sqrt(share) : 0;
      const name = segment.net > 0 ? "heat" : "cold";
      this.link.style.backgroundColor = strength ? `rgb(var(--segments-${name}) / ${strength.toFixed(0)}%)` : "";
    }
  }

  class LiveMap {
    constructor(root) {
      this.root = root;
      this.url = root.dataset.live;
      this.map = this.find("map");
      this.tiles = {};
      this.paused = false;
      this.timer = null;
      this.pause = this.find("pause");
      this.pause.hidden = false;
      this.pause.addEventListener("click", () => this.toggle());
      document.addEventListener("keydown", (event) => this.key(event));
      document.addEventListener("visibilitychange", () => document.hidden || this.paused || this.look());
      window.addEventListener("resize", () => this.map && this.draw());
      if (this.map) this.map.hidden = false;
      this.found = JSON.parse(document.getElementById("live-found").textContent);
      this.show();
      this.later();
    }

    find(name) {
      return this.root.querySelector(`[data-live-${name}]`);
    }

    key(event) {
      const typing = event.target.closest("input, select, textarea, button, a, summary, [contenteditable]");
      if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      event.preventDefault();
      this.toggle();
    }

    toggle() {
      this.paused = !this.paused;
      this.pause.setAttribute("aria-pressed", String(!this.paused));
      this.pause.textContent = this.paused ? "Go on" : "Pause";
      this.find("state").textContent = this.paused ? "Paused." : "The map renews itself.";
      clearTimeout(this.timer);
      if (!this.paused) this.look();
    }

    later() {
      clearTimeout(this.timer);
      if (!this.paused && !document.hidden) this.timer = setTimeout(() => this.look(), this.found.next);
    }

    async look() {
      clearTimeout(this.timer);
      try {
        const answer = await fetch(this.url, { headers: { Accept: "application/json" } });
        if (answer.redirected) throw new Error("you were logged out");
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        const found = await answer.json();
        // The list was empty when the page was made, or is now: the page has another shape then.
        if (Boolean(found.segments.length) !== Boolean(this.found.segments.length)) return window.location.reload();
        this.found = found;
        if (!this.paused) this.show();
      } catch (problem) {
        this.find("said").textContent = `Cannot renew: ${problem.message}. Trying again.`;
      }
      this.later();
    }

    show() {
      const { found } = this;
      this.find("said").textContent = `as of ${found.at} UTC`;
      if (!this.map) return;
      const sum = (numbers) => figures.format(numbers.reduce((one, other) => one + other, 0));
      this.find("sum").textContent = `In the last hour ${sum(found.entered)} entered and ${sum(found.left)} left.`;
      this.find("from").textContent = found.from;
      bars(this.find("minutes"), found.entered, found.left, 60);
      this.draw();
      this.fill();
    }

    draw() {
      const box = this.map.getBoundingClientRect();
      const kept = {};
      for (const segment of this.found.segments) {
        const tile = this.tiles[segment.id] || new Tile(segment);
        kept[segment.id] = tile;
        if (!tile.link.isConnected) this.map.append(tile.link);
        tile.show(segment, box);
      }
      for (const [id, tile] of Object.entries(this.tiles)) if (!kept[id]) tile.link.remove();
      this.tiles = kept;
    }

    /* Rows stay where they are, so that nobody's place in the table is lost; new ones come last. */
    fill() {
      const body = this.find("rows");
      const rows = Object.fromEntries([...body.rows].map((row) => [row.dataset.id, row]));
      for (const segment of this.found.segments) {
        const row = rows[segment.id] || body.appendChild(this.newRow(segment));
        delete rows[segment.id];
        const numbers = [segment.size, segment.entered, segment.left].map((number) => figures.format(number));
        [...numbers, signed(segment.net)].forEach((text, n) => {
          const cell = row.cells[n + 1];
          if (cell.textContent !== text) cell.textContent = text;
        });
      }
      for (const row of Object.values(rows)) row.remove();
    }

    newRow(segment) {
      const row = document.createElement("tr");
      row.dataset.id = segment.id;
      const head = document.createElement("th");
      head.scope = "row";
      const link = element("a", "", segment.name);
      link.href = segment.url;
      head.append(link);
      row.append(head, ...[0, 1, 2, 3].map(() => element("td", "number")));
      return row;
    }
  }

  const root = document.querySelector("[data-live]");
  if (root) new LiveMap(root);
})();
