// What visitors of the demo shop do in; Segment events out, and a strip that shows what they changed.
(() => {
  "use strict";
  const { key, customer, event, visitor } = document.currentScript.dataset;
  const CLIPPED = "shop.coupons", TOKENS = "shop.tokens";
  const QUICK = 500, QUICK_FOR = 8000, SLOW = 6000;
  const $ = (selector) => document.querySelector(selector);
  let last = null, quickUntil = 0, timer = 0;

  const kept = (name) => JSON.parse(sessionStorage.getItem(name) || "{}");
  const keep = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));
  const who = () => (customer ? { userId: customer } : { anonymousId: window.decisioning.anonymousId });

  // ── Events ──
  async function send(kind, body) {
    const message = { messageId: `shop-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`, ...who(), ...body };
    await fetch(`/v1/${kind}`, {
      method: "POST",
      keepalive: true,
      credentials: "omit",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
      body: JSON.stringify(message),
    }).catch(() => {});
    quickUntil = Date.now() + QUICK_FOR;
    look();
  }

  const track = (name, properties) => send("track", { event: name, properties });

  async function submitted(submit) {
    const form = submit.target, { track: name, properties } = form.dataset;
    if ("reset" in form.dataset) return window.decisioning.reset();
    if (!name) return;
    submit.preventDefault();
    const told = track(name, JSON.parse(properties));
    if ("stay" in form.dataset) return put(form);
    if ("redeem" in form.dataset) await redeem(JSON.parse(properties).total);
    await told;
    form.submit();
  }

  async function put(form) {
    const answer = await fetch(form.action, {
      method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
    });
    if (!answer.ok) return form.submit();
    $("[data-count]").textContent = (await answer.json()).count;
    const button = form.querySelector("button");
    button.textContent = "Added";
    setTimeout(() => { button.textContent = "Add"; }, 1200);
  }

  // ── Coupons: clipped on their page, redeemed with the order, with the token of the decision that showed them ──
  document.addEventListener("decisioning:decided", ({ detail }) => {
    const tokens = kept(TOKENS);
    for (const item of detail.items) tokens[item.id] = item.token;
    keep(TOKENS, tokens);
  });

  async function redeem(total) {
    const clipped = Object.keys(kept(CLIPPED)), tokens = kept(TOKENS);
    for (const coupon of clipped) {
      if (tokens[coupon]) window.decisioning.outcome(tokens[coupon], "conversion", total);
      await track("Coupon Redeemed", { content_key: coupon, coupons: 1 });
    }
    keep(CLIPPED, {});
  }

  function showClipped() {
    const clipped = kept(CLIPPED), button = $("[data-clip]"), note = $("[data-clipped]");
    if (button) {
      const pressed = button.dataset.clip in clipped;
      button.setAttribute("aria-pressed", pressed);
      button.textContent = pressed ? "Clipped" : "Clip this coupon";
    }
    if (note) {
      note.hidden = !Object.keys(clipped).length;
      note.textContent = `Redeemed with this order: ${Object.values(clipped).join("; ")}.`;
    }
  }

  function clip({ target }) {
    const button = target.closest("[data-clip]");
    if (!button) return;
    const clipped = kept(CLIPPED), { clip: coupon, title } = button.dataset;
    if (coupon in clipped) delete clipped[coupon];
    else clipped[coupon] = title;
    keep(CLIPPED, clipped);
    showClipped();
  }

  // ── The strip: asked often for a while after an event, seldom otherwise ──
  async function look() {
    clearTimeout(timer);
    const query = customer ? "" : `?anonymous_id=${encodeURIComponent(window.decisioning.anonymousId)}`;
    const answer = await fetch(visitor + query).catch(() => null);
    if (answer?.ok) show(await answer.json());
    clearTimeout(timer);
    timer = setTimeout(look, Date.now() < quickUntil ? QUICK : SLOW);
  }

  function show(now) {
    const before = last;
    last = now;
    const had = new Map((before?.facts || []).map((fact) => [fact.name, worded(fact.value)]));
    $("[data-facts]").replaceChildren(...now.facts.map((fact) => {
      const item = element("li", "", element("span", "", fact.label), element("b", "", worded(fact.value)));
      item.classList.toggle("changed", Boolean(before) && had.get(fact.name) !== worded(fact.value));
      return item;
    }));
    const were = new Set((before?.segments || []).map((one) => one.key));
    const chips = now.segments.map((one) => {
      const chip = element("li", before && !were.has(one.key) ? "changed" : "", one.name);
      chip.title = one.by ? `since ${one.by}` : "";
      return chip;
    });
    $("[data-segments]").replaceChildren(...(chips.length ? chips : [element("li", "none", "no segments yet")]));
    const keys = (state) => state.segments.map((one) => one.key).sort().join();
    // Somebody has entered or left a segment: other rules may hold now.
    if (before && keys(before) !== keys(now)) window.decisioning.refresh();
  }

  const worded = (value) => (typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 2 }) : String(value));

  function element(kind, name, ...children) {
    const made = document.createElement(kind);
    made.className = name;
    made.append(...children);
    return made;
  }

  document.addEventListener("submit", submitted);
  document.addEventListener("click", clip);
  document.addEventListener("decisioning:ready", () => {
    showClipped();
    const { title } = document, { pathname: path, href: url } = location;
    send("page", { name: title, properties: { title, path, url } });
    if (event) {
      const { event: name, properties } = JSON.parse(event);
      track(name, properties);
    }
  });
})();
