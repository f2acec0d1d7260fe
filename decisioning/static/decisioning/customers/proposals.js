/* The keyboard's way through proposals: a accepts, d dismisses, j and k go to the next and the former one.
   The buttons do the same without this script. */
"use strict";

(() => {
  const cards = [...document.querySelectorAll(".customers-proposal")];
  if (!cards.length) return;

  const current = () => Math.max(cards.indexOf(document.activeElement.closest(".customers-proposal")), 0);

  const answer = (word) => cards[current()].querySelector(`button[value="${word}"]`)?.click();

  const keys = {
    a: () => answer("accept"),
    d: () => answer("dismiss"),
    j: () => cards[Math.min(current() + 1, cards.length - 1)].focus(),
    k: () => cards[Math.max(current() - 1, 0)].focus(),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  cards[0].focus();
})();
