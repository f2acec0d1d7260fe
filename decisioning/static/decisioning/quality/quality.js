/* Follows a running check, and shows what a policy would do as soon as it is changed.
   Without this script the page is reloaded and the preview has a button. */
"use strict";

(() => {
  const EVERY_MS = 1000;
  const PATIENCE_MS = 20000;
  const PAUSE_MS = 400;

  class Check {
    constructor(line) {
      this.line = line;
      this.bar = document.querySelector(".quality-progress");
      this.since = Date.now();
      this.seen = line.hasAttribute("data-running");
      this.look();
    }

    async look() {
      let said;
      try {
        const answer = await fetch(this.line.dataset.qualityProgress, { headers: { Accept: "application/json" } });
        if (!answer.ok || answer.redirected) return;
        said = await answer.json();
      } catch {
        return;
      }
      if (said.running) {
        this.seen = true;
        this.bar.hidden = false;
        this.bar.value = said.running.percent;
        this.line.textContent = `Checking: ${said.running.percent} %, ${said.running.what}.`;
      } else if (this.seen || (said.checked || "") > this.line.dataset.checked) {
        this.bar.hidden = true;
        this.line.textContent = "The check is done. ";
        const link = document.createElement("a");
        link.className = "console-link";
        link.href = window.location.href;
        link.textContent = "Show what it found.";
        this.line.append(link);
        return;
      }
      /* A check that was asked for begins when a worker is free. */
      if (said.running || Date.now() - this.since < PATIENCE_MS) setTimeout(() => this.look(), EVERY_MS);
    }
  }

  class Policy {
    constructor(form) {
      this.form = form;
      this.place = form.querySelector("[data-quality-preview]");
      this.asked = 0;
      this.timer = null;
      form.querySelector('button[name="preview"]').hidden = true;
      form.addEventListener("input", (event) => {
        if (event.target.name === "note") return;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.show(), PAUSE_MS);
      });
      if (!this.place.textContent.trim()) this.show();
    }

    async show() {
      const asked = ++this.asked;
      const body = new FormData(this.form);
      body.set("fragment", "1");
      this.place.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(this.form.action, { method: "POST", body });
        if (asked !== this.asked || !answer.ok || answer.redirected) return;
        this.place.innerHTML = await answer.text();
      } finally {
        this.place.removeAttribute("aria-busy");
      }
    }
  }

  const line = document.querySelector("[data-quality-progress]");
  if (line) new Check(line);
  const form = document.querySelector("[data-quality-policy]");
  if (form) new Policy(form);
})();
