// Changes of the form from elsewhere on the page: a remedy for a failure, the settings of a run.

import { goToOption } from "./form.js";
import { setFields } from "./form_values.js";
import { get, post, runAddress } from "./request.js";
import { openTab } from "./tabs.js";
import { texts } from "./texts.js";

/** Set options in the form, and go to the first of them. changes: {option: value}. Raises Error if that is refused. */
export async function changeForm(changes) {
  const { fields } = await post("form/fields", changes);
  setFields(fields);
  openTab(texts.tabs.train);
  requestAnimationFrame(() => requestAnimationFrame(() => goToOption(Object.keys(fields)[0]))); // once the tab is shown
}

/** Put the settings of a run into the form, and go there. Raises Error if that is refused. */
export async function runToForm(run) {
  const { fields } = await get(runAddress(run, "fields"));
  setFields(fields);
  openTab(texts.tabs.train);
}
