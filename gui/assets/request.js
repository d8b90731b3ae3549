// Asking the server for something that it may refuse.

/** POST; raises Error with the server's words if it refuses or cannot be reached. Returns its answer. */
export async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
  return told;
}

/** What the server answers to a GET as JSON; raises Error as `post`. */
export async function get(address) {
  const answer = await fetch(address);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
  return told;
}

/** The address of a run, or of something of it; relative, as the page may lie under a path prefix. */
export function runAddress(run, part = "") {
  return `runs/${encodeURIComponent(run)}${part && `/${part}`}`;
}
