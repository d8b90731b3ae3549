// Going to a tab of the page by its name.

/** Open the tab of that title, as soon as Gradio has mounted it. */
export function openTab(title) {
  const tabs = [...document.querySelectorAll("#loom-tabs [role='tab']")];
  const tab = tabs.find((candidate) => candidate.textContent.trim() === title);
  if (tab?.ariaSelected === "true") return;
  tab?.click();
  requestAnimationFrame(() => openTab(title));
}
