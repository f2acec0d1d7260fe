// A decision in; beside its slot, in words and bars, why it came out so.
(() => {
  "use strict";
  const { key } = document.querySelector("script[data-visitor]").dataset;
  // The ledger is written a moment after the answer.
  const SETTLED = 1200, ATTEMPTS = 4;
  const REASONS = {
    TARGETING_MATCH: "a rule decided", RANKED: "ranked by the scorer", SPLIT: "an experiment decided",
    FALLBACK: "default contents: nothing else may be shown", HOLDOUT: "held out of an experiment",
    CAPPED: "shown often enough", OUTSIDE_AUDIENCE: "outside the placement's audience", ERROR: "could not be decided",
  };
  const RUNGS = {
    full: "rules and scorer", "rules+model": "rules and stored scores", "rules+prior": "rules and popularity",
    rules: "rules alone", default: "default contents",
  };

  function element(kind, name, ...children) {
    const made = document.createElement(kind);
    if (name) made.className = name;
    made.append(...children);
    return made;
  }

  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const list = (name, rows) => element("ul", name, ...rows.map((row) => element("li", "", ...[row].flat())));

  function item(one, most) {
    const bar = element("meter", "");
    Object.assign(bar, { min: 0, max: most || 1, value: one.score || 0 });
    bar.setAttribute("aria-label", "score");
    const head = element("p", "item-head", element("b", "", `${one.rank}. ${one.id}`), ` ${one.content.title || one.content.name}`);
    const figures = element("p", "figures", one.score == null ? "no score" : `score ${one.score.toPrecision(3)}`,
      ` · shown with probability ${percent(one.propensity)}`);
    return [head, bar, figures, list("reasons", one.reasons || [])];
  }

  function rule(one) {
    const effects = [...(one.effects || []), ...(one.overruled || []).map((text) => `overruled: ${text}`)];
    const chip = element("span", one.matched ? "yes" : "no", one.matched ? "holds" : effects.length ? "otherwise" : "does not hold");
    return [chip, ` ${one.key}`, effects.length ? list("reasons", effects) : ""];
  }

  function told({ answer, decision, items }) {
    const parts = [];
    const rung = element("span", "rung", decision.rung);
    rung.title = RUNGS[decision.rung] || "";
    parts.push(element("p", "why-head", rung, ` ${REASONS[answer.reason] || answer.reason}`));
    if (decision.degraded?.length) parts.push(element("p", "hint", `Missing: ${decision.degraded.join(", ")}.`));
    const most = Math.max(0, ...items.map((one) => one.score || 0));
    parts.push(element("ol", "items", ...items.map((one) => element("li", "", ...item(one, most)))));
    const rules = answer.rules || [];
    parts.push(element("h3", "", "Rules"), rules.length ? list("rules", rules.map(rule)) : element("p", "hint", "No rule is meant for this slot."));
    const dropped = Object.entries(answer.dropped || {});
    if (dropped.length) {
      const rows = dropped.slice(0, 40).map(([name, why]) => [element("b", "", name), ` ${why}`]);
      parts.push(element("details", "", element("summary", "", `${dropped.length} not shown`), list("reasons", rows)));
    }
    parts.push(ledger(answer));
    parts.push(element("p", "hint", `Policy ${answer.policy}, scorer ${decision.scorer ?? "none"}, snapshot ${decision.snapshot}.`));
    return parts;
  }

  // What the ledger kept is read when somebody wants to see it.
  function ledger(answer) {
    const body = element("div", "", element("p", "hint", "Reading the ledger …"));
    const box = element("details", "", element("summary", "", "Facts and segments it was made from"), body);
    const at = Date.now();
    box.addEventListener("toggle", () => {
      if (box.open && !box.dataset.read) {
        box.dataset.read = "1";
        setTimeout(read, Math.max(0, SETTLED - (Date.now() - at)), answer.decision_id, body, 1);
      }
    });
    return box;
  }

  async function read(id, body, attempt) {
    const answer = await fetch(`/v1/decisions/${id}`, { headers: { Authorization: `Bearer ${key}` } }).catch(() => null);
    if (!answer?.ok) {
      if (attempt < ATTEMPTS) return setTimeout(read, SETTLED, id, body, attempt + 1);
      body.replaceChildren(element("p", "hint", "The ledger does not have it (yet): where a placement keeps only a share of its decisions, most are not there."));
      return;
    }
    const kept = await answer.json();
    const tests = (kept.rules || []).filter((one) => one.text).map((one) => [element("b", "", one.key), element("pre", "", one.text)]);
    const rows = Object.entries(kept.facts || {}).filter(([, value]) => typeof value !== "object").slice(0, 60)
      .map(([name, value]) => element("tr", "", element("th", "", name), element("td", "", String(value))));
    body.replaceChildren(
      element("p", "hint", `Decision ${id}`),
      tests.length ? list("rules", tests) : "",
      rows.length ? element("table", "known", element("tbody", "", ...rows)) : element("p", "hint", "Nothing was known of the visitor."),
    );
  }

  const panel = (name) => document.querySelector(`[data-why="${CSS.escape(name)}"]`);

  document.addEventListener("decisioning:decided", ({ detail }) => {
    panel(detail.placement)?.querySelector("[data-reasons]").replaceChildren(...told(detail));
  });
  document.addEventListener("decisioning:fallback", ({ detail }) => {
    const cure = { timeout: "No answer came in time.", error: "The engine did not answer.", empty: "Nothing may be shown here." };
    panel(detail.placement)?.querySelector("[data-reasons]")
      .replaceChildren(element("p", "hint", `${cure[detail.reason]} What you see is the page's own.`));
  });
  if (matchMedia("(min-width: 1100px)").matches)
    for (const one of document.querySelectorAll(".why")) one.open = true;
})();
