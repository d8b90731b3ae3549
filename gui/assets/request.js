// Asking the server for something that it may refuse.

/** POST; raises Error with the server's words if it refuses or cannot be reached. Returns its answer. */
export async function post(address, body) {
  const content = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return answerOf(await fetch(address, { method: "POST", ...(body === undefined ? {} : content) }));
}

/** What the server answers to a GET as JSON; raises Error as `post`. */
export async function get(address, parameters) {
  return answerOf(await fetch(parameters ? `${address}?${new URLSearchParams(parameters)}` : address));
}

/** A refusal tells an error, or problems with a hint each. */
async function answerOf(answer) {
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const problems = (told.problems ?? []).map(({ message, hint }) => (hint ? `${message} (${hint})` : message));
  throw new Error(told.error || problems.join("\n") || `${answer.status} ${answer.statusText}`);
}

/** The address of a run, or of something of it; relative, as the page may lie under a path prefix. */
export function runAddress(run, part = "") {
  return `runs/${encodeURIComponent(run)}${part && `/${part}`}`;
}
