/* The page of learned things follows a training that runs. Without it everything is there after a reload. */
"use strict";

(() => {
  const page = document.querySelector("[data-training]");
  if (!page) return;
  const box = page.querySelector("[data-run]");
  const bar = box.querySelector("progress");
  const say = (name, text) => (box.querySelector(`[data-${name}]`).textContent = text);

  const look = async () => {
    try {
      const reply = await fetch(page.dataset.training, { headers: { accept: "application/json" } });
      if (!reply.ok) return;
      const run = await reply.json();
      if (run.mark !== page.dataset.mark && !run.running) {
        window.location.reload();
        return;
      }
      page.dataset.mark = run.mark;
      box.hidden = !run.running;
      if (!run.running) return;
      say("since", run.since);
      say("reason", run.reason);
      say("doing", run.doing || "beginning");
      [bar.max, bar.value] = [run.steps, run.step];
    } catch {
      /* The server does not answer: the next look may find it again. */
    }
  };

  setInterval(() => document.hidden || look(), 2000);
})();
