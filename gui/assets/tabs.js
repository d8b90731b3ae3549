// Going to a tab of the page by its name.

/** Open the tab of that title, as soon as Gradio has mounted it; on a narrow screen it may stand in the menu "…". */
export function openTab(title) {
  const tab = titled("#loom-tabs [role='tab']", title);
  if (tab?.ariaSelected === "true") return;
  const inMenu = tab ? null : titled("#loom-tabs .overflow-dropdown button", title);
  (tab ?? inMenu)?.click();
  if (!inMenu) requestAnimationFrame(() => openTab(title));
}

function titled(selector, title) {
  return [...document.querySelectorAll(selector)].find((candidate) => candidate.textContent.trim() === title);
}
