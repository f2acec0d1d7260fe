/* Checks rules and conditions while they are typed: the text goes to the server, the problems come back with line,
   column and the line with a caret, and how many customers it is for. Saving checks again, so nothing depends on this
   script. */
"use strict";

(() => {
  const PAUSE_MS = 300;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const offsetOf = (text, line, column) => {
    const lines = text.split("\n");
    const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    return Math.min(before + column - 1, text.length);
  };

  const span = (text, problem) => {
    const start = offsetOf(text, problem.line, problem.column);
    const end = offsetOf(text, problem.line, problem.end_column);
    return [start, Math.max(end, start + 1)];
  };

  class Editor {
    constructor(root) {
      this.root = root;
      this.area = root.querySelector("textarea");
      this.marks = root.querySelector(".language-editor-marks");
      this.answer = root.querySelector(".language-editor-answer");
      this.area.addEventListener("input", () => this.changed());
      this.area.addEventListener("scroll", () => this.follow());
      if (this.area.value.trim()) this.check();
    }

    changed() {
      this.forgetFormErrors();
      this.marks.textContent = "";
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.check(), PAUSE_MS);
    }

    /* What the server said about the former text no longer holds, or stands in the answer. */
    forgetFormErrors() {
      this.root.closest(".errors")?.classList.remove("errors");
      this.root.parentElement.querySelector(".errorlist")?.parentElement.remove();
    }

    async check() {
      this.request?.abort();
      this.request = new AbortController();
      const text = this.area.value;
      if (!text.trim()) return this.show(text, null);
      const body = new FormData();
      body.append("text", text);
      body.append("kind", this.root.dataset.kind);
      const token = this.area.form.querySelector("[name=csrfmiddlewaretoken]").value;
      try {
        const response = await fetch(this.root.dataset.checkUrl, {
          method: "POST", body, headers: { "X-CSRFToken": token }, signal: this.request.signal,
        });
        if (!response.ok) throw new Error(response.statusText);
        const found = await response.json();
        this.show(text, found.problems, found.audience);
      } catch (problem) {
        if (problem.name === "AbortError") return;
        this.answer.replaceChildren(element("p", "", "Not checked just now; it is checked when you save."));
      }
    }

    show(text, problems, audience) {
      if (text !== this.area.value) return;
      if (problems) this.forgetFormErrors();
      this.mark(text, problems ?? []);
      this.answer.replaceChildren(...(problems ?? []).map((problem) => this.describe(text, problem)));
      if (problems?.length === 0) this.answer.append(element("p", "language-editor-fine", "No problems found."));
      if (audience) this.answer.append(element("p", "language-editor-audience", audience));
      const wrong = (problems ?? []).some((problem) => problem.severity === "error");
      this.area.setAttribute("aria-invalid", String(wrong));
    }

    describe(text, problem) {
      const block = element("div", `language-editor-problem ${problem.severity}`);
      const line = element("p", "");
      const place = element("button", "language-editor-place", `Line ${problem.line}, column ${problem.column}`);
      place.type = "button";
      place.addEventListener("click", () => {
        this.area.focus();
        this.area.setSelectionRange(...span(text, problem));
      });
      line.append(place, ` ${problem.message}${problem.hint ? ` ${problem.hint}` : ""}`);
      block.append(line, element("pre", "", problem.pointed));
      return block;
    }

    /* The same text, invisible, behind the text area: only the marks under the wrong characters are seen. */
    mark(text, problems) {
      this.marks.textContent = "";
      let at = 0;
      for (const problem of problems) {
        const [start, end] = span(text, problem);
        if (start < at) continue;
        this.marks.append(text.slice(at, start), element("mark", problem.severity, text.slice(start, end) || " "));
        at = end;
      }
      this.marks.append(`${text.slice(at)}\n`);
      this.follow();
    }

    follow() {
      this.marks.scrollTop = this.area.scrollTop;
      this.marks.scrollLeft = this.area.scrollLeft;
    }
  }

  const start = () => document.querySelectorAll(".language-editor").forEach((root) => new Editor(root));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
