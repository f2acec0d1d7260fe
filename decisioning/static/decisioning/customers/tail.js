/* Follows the log: each second asks for what arrived since, with the filters of the page. Space stops and goes on.
   Without this script the page is the same list, renewed by its Refresh button. */
"use strict";

(() => {
  const EVERY_MS = 1000;
  const MOST_ROWS = 200;

  const cell = (className, ...parts) => {
    const made = document.createElement("td");
    if (className) made.className = className;
    made.append(...parts);
    return made;
  };

  const link = (url, text, title) => {
    const made = document.createElement("a");
    made.href = url;
    made.textContent = text;
    if (title) made.title = title;
    return made;
  };

  const mark = (className, text) => {
    const made = document.createElement("span");
    made.className = className;
    made.textContent = text;
    return made;
  };

  const rowOf = (event) => {
    const row = document.createElement("tr");
    row.dataset.id = event.id;
    row.className = "customers-new";
    const marks = [...(event.type !== "track" && event.type !== event.name ? [event.type] : []), ...event.marks];
    row.append(
      cell("customers-moment", link(event.url, event.arrived)),
      cell("", event.name, ...marks.flatMap((text) => [" ", mark("customers-mark", text)])),
      cell("", link(event.customer_url, event.customer, event.who)),
      cell("customers-told", event.said),
      cell("customers-moment", event.happened),
      cell("", mark(`customers-state customers-${event.state.colour}`, event.state.text)),
    );
    return row;
  };

  class Tail {
    constructor(button) {
      this.button = button;
      this.after = button.dataset.after;
      this.body = document.querySelector("[data-tail-rows]");
      this.said = document.querySelector("[data-tail-said]");
      this.follows = false;
      this.timer = null;
      button.hidden = false;
      button.addEventListener("click", () => this.toggle());
      document.addEventListener("keydown", (event) => this.key(event));
      this.say("Space follows the log live.");
    }

    key(event) {
      const typing = event.target.closest("input, select, textarea, button, a, [contenteditable]");
      if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      event.preventDefault();
      this.toggle();
    }

    toggle() {
      this.follows = !this.follows;
      this.button.setAttribute("aria-pressed", String(this.follows));
      this.button.textContent = this.follows ? "Pause" : "Follow live";
      this.say(this.follows ? "Following." : "Paused.");
      clearTimeout(this.timer);
      if (this.follows) this.look();
    }

    async look() {
      if (document.hidden) {
        this.timer = setTimeout(() => this.look(), EVERY_MS);
        return;
      }
      try {
        const asked = new URLSearchParams(window.location.search);
        asked.set("after", this.after);
        const answer = await fetch(`${this.button.dataset.tail}?${asked}`, { headers: { Accept: "application/json" } });
        if (answer.redirected) throw new Error("you were logged out");
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        this.show(await answer.json());
      } catch (problem) {
        this.say(`Cannot follow: ${problem.message}. Trying again.`);
      }
      clearTimeout(this.timer);
      if (this.follows) this.timer = setTimeout(() => this.look(), EVERY_MS);
    }

    show(answer) {
      if (!this.follows) return;
      this.after = answer.after;
      for (const event of answer.rows.reverse()) this.put(event);
      while (this.body.rows.length > MOST_ROWS) this.body.rows[this.body.rows.length - 1].remove();
      if (this.body.rows.length) {
        this.body.closest("table").hidden = false;
        document.querySelector("[data-tail-empty]")?.remove();
      }
      this.say(answer.more ? "Following; more arrive than are shown." : "Following.");
    }

    /* Newest first. What is shown already keeps its place and tells its newest state. */
    put(event) {
      const shown = this.body.querySelector(`[data-id="${event.id}"]`);
      if (shown) {
        shown.lastElementChild.replaceWith(rowOf(event).lastElementChild);
        return;
      }
      const below = [...this.body.rows].find((row) => row.dataset.id < event.id);
      this.body.insertBefore(rowOf(event), below || null);
    }

    say(text) {
      if (this.said.textContent !== text) this.said.textContent = text;
    }
  }

  const button = document.querySelector("[data-tail]");
  if (button) new Tail(button);
})();
