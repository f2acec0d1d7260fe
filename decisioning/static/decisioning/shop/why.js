// A decision in; beside its slot why it came out so: to the customer in the decision's own words, then in figures.
(() => {
  "use strict";
  const { key, staff } = document.currentScript.dataset;
  // The ledger is written a moment after the answer.
  const SETTLED = 400, PAUSE = 1200, ATTEMPTS = 4;
  const REASONS = {
    TARGETING_MATCH: "a rule decided", RANKED: "ranked by score", SPLIT: "an experiment decided",
    FALLBACK: "default contents: nothing else may be shown", HOLDOUT: "held out, to compare with",
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
    return [chip, ` ${one.key} `, effects.length ? list("reasons", effects) : ""];
  }

  function told({ answer, decision, items }) {
    const parts = [];
    const rung = element("span", "rung", decision.rung);
    rung.title = RUNGS[decision.rung] || "";
    const acted = (answer.rules || []).find((one) => one.effects?.length);
    const otherwise = answer.reason === "TARGETING_MATCH" && acted && !acted.matched;
    const reason = otherwise ? `rule ${acted.key} does not hold, so its ELSE decided` : REASONS[answer.reason] || answer.reason;
    parts.push(element("p", "why-head", rung, ` ${reason}`));
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
    const made = unread("What it was made from"), score = staff === undefined ? null : unread("Shares of the first one's score");
    if (score) parts.push(score.box);
    parts.push(made.box);
    parts.push(element("p", "hint", `Policy ${answer.policy}, scorer ${decision.scorer ?? "none"}, snapshot ${decision.snapshot}.`));
    const because = element("div", "because", element("p", "hint", "Asking the decision for its words …"));
    return { parts: [because, ...parts], fill: (kept) => filled(kept, because, made.body, score?.body, items) };
  }

  function unread(title) {
    const body = element("div", "", element("p", "hint", "Reading the ledger …"));
    return { body, box: element("details", "", element("summary", "", title), body) };
  }

  // ── What the ledger kept: words for the customer, shares for those who run the shop, facts ──
  function filled(kept, because, made, score, items) {
    const missing = "The ledger does not have it (yet): where a placement keeps only a share of its decisions, most are not there.";
    because.replaceChildren(...(kept ? words(kept, items) : []));
    for (const [body, parts] of [[made, kept && facts(kept)], [score, kept && shares(kept.scores)]])
      body?.replaceChildren(...(parts || [element("p", "hint", missing)]));
  }

  function words(kept, items) {
    const sentences = new Set(kept.items.map((one) => one.because));
    const told = (text) => text.charAt(0).toUpperCase() + text.slice(1);
    if (sentences.size < 2) return [...sentences].map((text) => element("p", "", `${told(text)}.`));
    const titles = new Map(items.map((one) => [one.id, one.content.title || one.content.name]));
    return [list("", kept.items.map((one) => [element("b", "", titles.get(one.key) || one.name || one.key), ` ${one.because}`]))];
  }

  function shares(scores) {
    if (!scores) return [element("p", "hint", "No scorer of trees ranked here, so there are none.")];
    const plain = (value) => scores.scale === "logarithm" ? value.toLocaleString("en", { maximumFractionDigits: 2 }) : percent(value);
    const usual = { "log-odds": (odds) => 1 / (1 + Math.exp(-odds)), logarithm: Math.exp, plain: (gain) => gain }[scores.scale](scores.base);
    const on = { "log-odds": " in log-odds", logarithm: " in the natural logarithm", plain: "" }[scores.scale];
    const most = Math.max(...scores.factors.map((one) => Math.abs(one.share)), 0.001);
    const rows = scores.factors.map((one) => [factor(one, most), ` ${one.words}`]);
    const { count, share } = scores.others;
    const rest = count ? [element("p", "hint", `${count} others together: ${signed(share)}.`)] : [];
    const sum = `On average ${plain(usual)}, for this customer ${plain(scores.given)}. Shares are SHAP values${on}; with the average they sum to ${scores.total.toFixed(2)}.`;
    return [element("p", "hint", sum), list("shares", rows), ...rest];
  }

  const signed = (share) => `${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(2)}`;

  function factor({ label, share }, most) {
    const bar = element("meter", share < 0 ? "down" : "up");
    Object.assign(bar, { min: 0, max: most, value: Math.abs(share) });
    bar.setAttribute("aria-label", `${label}: ${signed(share)}`);
    return element("span", "share", bar, element("span", "figures", signed(share)));
  }

  // Facts keep moments in ISO 8601; people read them otherwise.
  const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
  const said = (value) => MOMENT.test(value) && !isNaN(Date.parse(value))
    ? `${new Date(value).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" })} UTC` : String(value);

  function facts(kept) {
    const tests = (kept.rules || []).filter((one) => one.text).map((one) => [element("b", "", one.key), element("pre", "", one.text)]);
    const rows = Object.entries(kept.facts || {}).filter(([, value]) => typeof value !== "object").slice(0, 60)
      .map(([name, value]) => element("tr", "", element("th", "", name), element("td", "", said(value))));
    return [
      element("p", "hint", `Decision ${kept.decision_id}`),
      tests.length ? list("rules", tests) : "",
      rows.length ? element("table", "known", element("tbody", "", ...rows)) : element("p", "hint", "Nothing was known of the visitor."),
    ];
  }

  async function read(id, fill, attempt) {
    const answer = await fetch(`/v1/decisions/${id}`, { headers: { Authorization: `Bearer ${key}` } }).catch(() => null);
    if (answer?.ok) fill(await answer.json());
    else if (attempt < ATTEMPTS) setTimeout(read, PAUSE, id, fill, attempt + 1);
    else fill(null);
  }

  // Nobody's ledger is read for a panel that nobody opened.
  function whenOpen(box, work) {
    if (box.open) return work();
    box.addEventListener("toggle", work, { once: true });
  }

  const panel = (name) => document.querySelector(`[data-why="${CSS.escape(name)}"]`);

  document.addEventListener("decisioning:decided", ({ detail }) => {
    const box = panel(detail.placement);
    if (!box) return;
    const { parts, fill } = told(detail), id = detail.answer.decision_id;
    box.querySelector("[data-reasons]").replaceChildren(...parts);
    whenOpen(box, () => setTimeout(read, SETTLED, id, fill, 1));
  });
  document.addEventListener("decisioning:fallback", ({ detail }) => {
    const cure = { timeout: "No answer came in time.", error: "The engine did not answer.", empty: "Nothing may be shown here." };
    panel(detail.placement)?.querySelector("[data-reasons]")
      .replaceChildren(element("p", "hint", `${cure[detail.reason]} What you see is the page's own.`));
  });
  if (matchMedia("(min-width: 1100px)").matches)
    for (const one of document.querySelectorAll(".why")) one.open = true;
})();
