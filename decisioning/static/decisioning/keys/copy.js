/* Buttons with data-copy="id" copy the text of that element. Without this script they are not shown. */
"use strict";

(() => {
  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  // The clipboard is there for https and localhost only; elsewhere the text is selected, ready for Ctrl+C.
  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return "Copied.";
    } catch {
      select(element);
      return "Selected: press Ctrl+C or ⌘C.";
    }
  };

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.parentElement.querySelector("[role=status]").textContent = await copy(document.getElementById(button.dataset.copy));
    });
  }
})();
