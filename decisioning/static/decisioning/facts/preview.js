/* Shows what a custom fact would give while its text is typed: the server computes it and answers with a piece of HTML.
   Saving and publishing do not depend on this script. */
"use strict";

(() => {
  const PAUSE_MS = 700;

  class Preview {
    constructor(root) {
      this.root = root;
      this.answer = root.querySelector("[data-answer]");
      this.who = root.querySelector("[data-who]");
      this.area = document.querySelector(".language-editor textarea");
      this.name = document.querySelector("[name=name]");
      if (!this.area) return;
      for (const field of [this.area, this.who]) field.addEventListener("input", () => this.later());
      this.who.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // it would save the fact
        this.ask();
      });
      if (this.area.value.trim()) this.ask();
    }

    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), PAUSE_MS);
    }

    async ask() {
      clearTimeout(this.timer);
      this.request?.abort();
      if (!this.area.value.trim()) return this.say("Computed from the log while you type.");
      const request = (this.request = new AbortController());
      const body = new FormData();
      body.append("text", this.area.value);
      body.append("name", this.name?.value ?? "");
      body.append("who", this.who.value);
      const token = this.area.form.querySelector("[name=csrfmiddlewaretoken]").value;
      this.answer.setAttribute("aria-busy", "true");
      try {
        const response = await fetch(this.root.dataset.preview, {
          method: "POST", body, headers: { "X-CSRFToken": token }, signal: request.signal,
        });
        if (!response.ok) throw new Error(response.statusText);
        this.answer.innerHTML = await response.text(); // our own template, with every value escaped
      } catch (problem) {
        if (problem.name === "AbortError") return;
        this.say("Not computed just now; change the text to try again.");
      }
      this.answer.removeAttribute("aria-busy");
    }

    say(text) {
      const line = document.createElement("p");
      line.className = "console-note";
      line.textContent = text;
      this.answer.replaceChildren(line);
    }
  }

  const start = () => document.querySelectorAll("[data-preview]").forEach((root) => new Preview(root));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
