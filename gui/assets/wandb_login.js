// Below the form's options of logging: whether wandb is logged in here. The key is never told.

import { element, setText } from "./dom.js";
import { get } from "./request.js";
import { fill, texts } from "./texts.js";

const SECTION = "section-logging";
const NOTE = "loom-wandb-login";

/** Add the note as soon as Gradio has mounted the section, and keep it there. */
export function showWandbLogin() {
  const section = document.getElementById(SECTION);
  if (!section || document.getElementById(NOTE)) return;
  const note = element("p", { id: NOTE, class: "loom-muted", role: "status" });
  section.append(note);
  get("wandb").then(
    (told) => setText(note, inWords(told)),
    () => note.remove(), // told by the header; it is asked again with the next change of the page
  );
}

function inWords({ login, offline, problem }) {
  if (problem) return fill(texts.wandb.secrets, { why: problem });
  if (offline) return texts.wandb.environment_offline;
  return login ? texts.wandb.login[login] : texts.wandb.no_login;
}
