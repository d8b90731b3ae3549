// Questions to the server that a JSON answers.

/** The answer, to a POST where a body is given; null where the server cannot be reached, which the header tells. */
export async function ask(path, body = null) {
  const asked = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(path, body === null ? {} : asked);
    if (answer.ok) return await answer.json();
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  } catch (error) {
    if (error instanceof TypeError) return null; // what fetch throws when it gets no answer, also of a page that is left
    throw error;
  }
}
