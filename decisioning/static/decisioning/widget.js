// Slots of a page in; filled with what /v1/decide chose, and told what was seen and clicked. See docs/widget.md.
(() => {
  "use strict";
  const tag = document.currentScript || document.querySelector("script[data-key][src*='widget.js']");
  if (!tag || window.decisioning) return;
  const options = tag.dataset;
  const api = new URL(options.url || "/", tag.src).href.replace(/\/$/, "");
  const patience = options.timeout || 800; // milliseconds
  const STORED = "decisioning.anonymous_id", AT_ONCE = 20, TRIES = 3;
  const SHARE = 0.5, SECONDS = 1; // a viewable impression, by MRC and IAB
  const KNOWN = /^(a|b|br|div|em|h[2-6]|i|img|li|ol|p|small|span|strong|ul)$/;

  const states = new WeakMap(), tokens = new WeakMap(), timers = new Map(), told = new Set(), watched = new Set();
  const random = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

  // Kept in this browser where it is allowed, for the length of the page otherwise. Never in a cookie.
  function remembered(anew) {
    const id = random(), keep = options.anonymous !== "off";
    try {
      if (anew || !keep) localStorage.removeItem(STORED);
      if (keep) localStorage[STORED] ||= id;
      return localStorage[STORED] || id;
    } catch {
      return id;
    }
  }

  const view = random();
  let customer = options.customer, context = {}, turn = 0, anonymous = remembered();

  const post = (path, body, more) =>
    fetch(api + path, {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + options.key },
      body: JSON.stringify(body),
      ...more,
    });

  function moment() {
    const { pathname, href, search } = location, { userAgent, language } = navigator;
    const { title, referrer } = document, utm = new URLSearchParams(search);
    const tablet = /iPad|Tablet|Android(?!.*Mobi)/.test(userAgent);
    return {
      page: { path: pathname, url: href, search, title, referrer },
      device: { type: tablet ? "tablet" : /Mobi/.test(userAgent) ? "mobile" : "desktop" },
      campaign: { source: utm.get("utm_source"), name: utm.get("utm_campaign") },
      locale: language,
      ...context,
    };
  }

  // Deciding
  async function ask(slots) {
    const mine = turn, stop = new AbortController(), timer = setTimeout(() => stop.abort(), patience);
    for (const slot of slots) prepare(slot);
    let found, reason = "empty";
    try {
      const answer = await post("/v1/decide", question(slots), { signal: stop.signal });
      if (!answer.ok) throw answer.status;
      found = await answer.json();
    } catch {
      reason = stop.signal.aborted ? "timeout" : "error";
    }
    clearTimeout(timer);
    if (mine !== turn) return;
    const answers = new Set(found?.placements);
    for (const slot of slots) {
      const answer = [...answers].find((one) => one.key === slot.dataset.placement);
      answers.delete(answer);
      settle(slot, answer, found, reason);
    }
  }

  function question(slots) {
    const box = (slot) => slot.getBoundingClientRect();
    const shown = slots.some((slot) => box(slot).bottom >= 0 && box(slot).top <= innerHeight);
    return {
      ...(customer ? { customer_id: customer } : { anonymous_id: anonymous }),
      placements: slots.map(({ dataset: { placement: key, n } }) => (n ? { key, n: Number(n) } : { key })),
      request_id: view,
      context: moment(),
      mode: shown ? "execute" : "prefetch",
      render: true,
      explain: "explain" in options,
      no_repeats: options.repeats === "off",
    };
  }

  // What is there keeps its place, so that nothing moves; it is not seen until the answer comes or the time is up.
  function prepare(slot) {
    if (!states.has(slot)) {
      states.set(slot, [...slot.childNodes]);
      slot.style.opacity = 0;
      setTimeout(show, patience, slot);
    }
    slot.dataset.decisioning = "asked";
  }

  const show = (slot) => { slot.style.opacity = ""; };

  function settle(slot, answer, decision, reason) {
    const items = answer?.items || [];
    const detail = { placement: slot.dataset.placement, items, answer, decision, reason };
    const tell = (name) => slot.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail }));
    slot.dataset.decisioning = items.length ? "decided" : "fallback";
    tokens.delete(slot);
    show(slot);
    if (tell(items.length ? "decisioning:decided" : "decisioning:fallback"))
      slot.replaceChildren(...(items.length ? items.map((item) => draw(item, slot)) : states.get(slot)));
    for (const item of items) watch(slot.querySelector(`[data-item="${CSS.escape(item.id)}"]`) || slot, item);
  }

  // Drawing
  function draw(item, slot) {
    const template = document.querySelector(`template[data-for="${CSS.escape(slot.dataset.placement)}"]`);
    const content = { title: item.content.name, ...item.content, id: item.id, rank: item.rank };
    const piece = template ? document.importNode(template.content, true) : plain(content);
    for (const part of piece.querySelectorAll("[data-field]")) put(part, part.dataset.field, content[part.dataset.field]);
    piece.firstElementChild.dataset.item = item.id;
    return piece;
  }

  function plain(content) {
    const piece = new DocumentFragment(), root = make(content.html ? "div" : "a", "url", piece);
    root.className = "decisioning-item";
    make("img", "image", root);
    make("strong", "title", root);
    make("span", "text", root);
    make("div", "html", root);
    return piece;
  }

  function make(kind, field, into) {
    const made = document.createElement(kind);
    made.className = "decisioning-" + field;
    made.dataset.field = field;
    into.append(made);
    return made;
  }

  function put(part, name, value) {
    if (name === "url") link(part, "href", value);
    else if (value == null || value === "") part.remove();
    else if (part.alt != null) link(part, "src", value);
    else if (name === "html") part.replaceChildren(clean(String(value)));
    else part.textContent = value;
  }

  function link(part, attribute, value, alt) {
    // What is no web address leads nowhere; the browser has made it whole when it is read back.
    part[attribute] = value ?? "";
    if (value == null || !/^(https?|mailto|tel):/.test(part[attribute])) part.removeAttribute(attribute);
    if (attribute === "src") part.alt ||= alt || "";
  }

  // Known elements only, and no attributes but addresses.
  function clean(html) {
    const result = new DocumentFragment();
    try {
      copy(new DOMParser().parseFromString(html, "text/html").body, result);
    } catch {
      result.append(html); // a policy of Trusted Types forbids parsing
    }
    return result;
  }

  function copy(from, to) {
    for (const node of from.childNodes) {
      const name = node.localName;
      if (!name) to.append(node.nodeType === 3 ? node.data : "");
      else if (!/^(script|style)$/.test(name)) {
        const made = KNOWN.test(name) ? document.createElement(name) : to;
        if (name === "a") link(made, "href", node.getAttribute("href"));
        if (name === "img") link(made, "src", node.getAttribute("src"), node.alt);
        copy(node, made);
        if (made !== to) to.append(made);
      }
    }
  }

  // Telling
  function watch(element, item) {
    if (!tokens.has(element)) {
      tokens.set(element, new Set());
      for (const name of ["click", "auxclick"]) element.addEventListener(name, clicked);
    }
    tokens.get(element).add(item.token);
    watched.add(element);
    viewing.unobserve(element);
    viewing.observe(element);
  }

  function clicked(event) {
    const here = [...(tokens.get(event.currentTarget) || [])];
    const meant = event.target.closest("a, button") || !event.currentTarget.querySelector("a, button");
    // Several contents in a slot that a page drew itself, without data-item: nobody can tell which one it was.
    if (here.length === 1 && meant && event.button < 2) outcome(here[0], "click");
  }

  function outcome(token, type, value = 0, id = "") {
    // A token ends with its signature: every retry, and every page that shows the same decision, counts once.
    const message_id = `${type}-${id || token.slice(-60)}`;
    if (told.has(message_id)) return;
    told.add(message_id);
    send({ token, type, value, message_id }, 1);
  }

  // `keepalive` outlives the page, as a beacon does, which cannot carry a key.
  function send(body, attempt) {
    const again = () => attempt < TRIES && setTimeout(send, 2000 * attempt, body, attempt + 1);
    post("/v1/outcomes", body, { keepalive: true }).then(({ status }) => /429|5../.test(status) && again(), again);
  }

  const viewing = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        clearTimeout(timers.get(target));
        if (intersectionRatio >= SHARE && !document.hidden) timers.set(target, setTimeout(seen, SECONDS * 1000, target));
      }
    },
    { threshold: SHARE },
  );

  function seen(element) {
    timers.delete(element);
    viewing.unobserve(element);
    watched.delete(element);
    if (element.isConnected) for (const token of tokens.get(element) || []) outcome(token, "impression");
  }

  // The second in view starts anew with the visitor's return to this tab.
  document.addEventListener("visibilitychange", () => {
    for (const element of watched) {
      clearTimeout(timers.get(element));
      viewing.unobserve(element);
      if (!element.isConnected) watched.delete(element);
      else if (!document.hidden) viewing.observe(element);
    }
  });

  // Beginning
  const nearing = new IntersectionObserver(
    (entries) => {
      const near = entries.filter((entry) => entry.isIntersecting).map(({ target }) => target);
      for (const slot of near) nearing.unobserve(slot);
      while (near.length) ask(near.splice(0, AT_ONCE));
    },
    { rootMargin: options.margin || "200px" },
  );

  function refresh(changed = {}) {
    if ("customer" in changed) customer = changed.customer;
    context = changed.context || context;
    turn += 1;
    nearing.disconnect();
    for (const slot of document.querySelectorAll("[data-placement]")) nearing.observe(slot);
  }

  function reset() {
    anonymous = remembered(true);
    refresh({ customer: null });
  }

  window.decisioning = { refresh, reset, outcome, watch, get anonymousId() { return anonymous; } };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => refresh());
  else refresh();
  document.dispatchEvent(new CustomEvent("decisioning:ready"));
})();
