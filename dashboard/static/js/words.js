// Chips and sentences come from the page's own template, so the server's words are the only ones.

const words = document.getElementById("words")?.content;

const find = (kind, state) => words?.querySelector(`[data-kind="${CSS.escape(kind)}"][data-state="${CSS.escape(state)}"]`);

// Puts the chip of a state into its place; null empties it.
export function showChip(place, kind, state) {
  if (!place) return;
  const shown = place.firstElementChild;
  if (state === null) {
    if (shown) place.replaceChildren();
    return;
  }
  if (shown?.dataset.state === state) return;
  const chip = find(kind, state);
  if (chip) place.replaceChildren(chip.cloneNode(true));
}

export const sentence = (kind, code) => find(kind, code)?.textContent ?? code;
export const meaning = (kind, state) => find(kind, state)?.title ?? "";
