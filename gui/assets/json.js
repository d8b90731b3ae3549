// JSON to and from the server; a refusal comes as an Error that says its problems in words.

/** What the server answers to GET. */
export async function getJson(path, parameters = {}) {
  return answerOf(await fetch(`${path}?${new URLSearchParams(parameters)}`));
}

/** What the server answers to POST with this body. */
export async function postJson(path, body) {
  return answerOf(await fetch(path, { method: "POST", body: JSON.stringify(body) }));
}

async function answerOf(response) {
  if (response.ok) return response.json();
  const told = await response.json().catch(() => ({}));
  const problems = (told.problems ?? []).map(({ message, hint }) => (hint ? `${message} (${hint})` : message));
  throw new Error(problems.join("\n") || `${response.status} ${response.statusText}`);
}
