// Undo and redo of the form by key, where no text is being typed: there the browser's own undo holds.

export function startHistoryKeys() {
  document.addEventListener("keydown", (event) => {
    const button = wantedButton(event);
    if (!button || button.disabled || !button.offsetParent) return;
    if (event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
    event.preventDefault();
    button.click();
  });
}

/** Ctrl+Z undoes; Ctrl+Y, and Ctrl+Shift+Z, make it again. On a Mac it is the command key. */
function wantedButton({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  if (!(ctrlKey || metaKey) || altKey) return null;
  const letter = key.toLowerCase();
  if (letter === "y" || (letter === "z" && shiftKey)) return document.querySelector("#redo");
  return letter === "z" ? document.querySelector("#undo") : null;
}
