// Keeping the end of a log in sight, until somebody scrolls away from it.

const NEAR_END_PX = 24;
const BY_HAND_MS = 500;

/** Follow the end of `rows` while the checkbox is checked: {keep(), end()}; keep() after each change of the rows. */
export function followEnd(rows, checkbox) {
  const keep = () => {
    if (checkbox.checked) rows.scrollTop = rows.scrollHeight;
  };
  const wasByHand = noteHands(rows);
  rows.addEventListener("scroll", () => {
    if (wasByHand()) checkbox.checked = rows.scrollTop + rows.clientHeight >= rows.scrollHeight - NEAR_END_PX;
  });
  checkbox.addEventListener("change", keep);
  const seen = new ResizeObserver(keep);
  seen.observe(rows);
  return { keep, end: () => seen.disconnect() };
}

/** Whether a person has just scrolled: the event alone does not tell, and a change of the layout must not count. */
function noteHands(rows) {
  let until = 0;
  const note = () => (until = performance.now() + BY_HAND_MS);
  for (const kind of ["wheel", "touchmove", "keydown", "pointerup"]) rows.addEventListener(kind, note, { passive: true });
  rows.addEventListener("pointerdown", () => (until = Infinity));
  return () => performance.now() <= until;
}
