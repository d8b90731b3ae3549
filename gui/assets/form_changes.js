// Changes of the form from elsewhere on the page: a remedy for a failure, the settings of a run.

import { goToOption } from "./form.js";
import { post, runAddress } from "./request.js";
import { openTab } from "./tabs.js";
import { texts } from "./texts.js";

/** Set options in the form, and go to the first of them. changes: {option: value}. Raises Error if that is refused. */
export async function changeForm(changes) {
  const { changed } = await post("form/changes", changes);
  refill();
  openTab(texts.tabs.train);
  requestAnimationFrame(() => requestAnimationFrame(() => goToOption(changed[0]))); // once the tab is shown
}

/** Put the settings of a run into the form, and go there. Raises Error if that is refused. */
export async function runToForm(run) {
  await post(runAddress(run, "to_form"));
  refill();
  openTab(texts.tabs.train);
}

/** Let Gradio fill its form from the draft, which the server has changed. */
function refill() {
  document.querySelector("#loom-refill")?.click();
}
