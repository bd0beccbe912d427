// When the structure of a page changes (a new job, a new movement, a longer log), the server renders it again.
// Values in place come from the feed; this only exchanges the sections marked data-refresh.

import { feed, serverNow } from "./feed.js";
import { localise } from "./format.js";

const AT_MOST_EVERY_MS = 1000;
// What the server rendered, by section: this module comes first, before anything in the page is made local.
const sources = new Map([...document.querySelectorAll("[data-refresh]")].map((section) => [section.id, section.innerHTML]));
let waiting = null;
let lastAt = -AT_MOST_EVERY_MS;

export function refreshSoon() {
  if (waiting !== null) return;
  const wait = Math.max(60, lastAt + AT_MOST_EVERY_MS - performance.now());
  waiting = setTimeout(async () => {
    lastAt = performance.now();
    waiting = null;
    try {
      await refresh();
    } catch {
      // The link is lost, and the banner says so; a reconnect comes back here.
    }
  }, wait);
}

async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  let busy = false;
  for (const section of document.querySelectorAll("[data-refresh]")) {
    const fresh = page.getElementById(section.id);
    if (!fresh || sources.get(section.id) === fresh.innerHTML) continue;
    if (inUse(section)) {
      busy = true; // somebody reads or writes there: look again later
      continue;
    }
    sources.set(section.id, fresh.innerHTML);
    const focused = document.activeElement?.closest(`#${CSS.escape(section.id)} a[href]`)?.getAttribute("href");
    section.replaceChildren(...fresh.childNodes);
    localise(section, serverNow());
    if (focused) section.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  if (busy) setTimeout(refreshSoon, 2000);
}

const inUse = (section) =>
  section.querySelector("details[open], [data-holding]") || document.activeElement?.closest(`#${CSS.escape(section.id)} :is(input, button, summary)`);

// What in the feed means that this page's structure is another now.
export function followStructure(page) {
  if (!feed) return;
  const shown = new Map();
  feed.addEventListener("change", ({ detail: { key, value } }) => {
    const mark = structure(page, key, value);
    if (mark === undefined || shown.get(key) === mark) return;
    const first = !shown.has(key);
    shown.set(key, mark);
    if (!first || !known(page, key, value)) refreshSoon();
  });
  feed.addEventListener("link", () => feed.link === "live" && document.body.dataset.wasLive && refreshSoon());
  feed.addEventListener("link", () => feed.link === "live" && (document.body.dataset.wasLive = "yes"));
}

function structure(page, key, value) {
  const kind = key.split("/")[0];
  if (page === "job" && kind === "job") return JSON.stringify([value?.state, value?.settled, value?.stopping]);
  if (page === "job" && kind === "item") return JSON.stringify([value?.state, value?.resolution]);
  if (page === "stock" && kind === "flask") return String(value?.revision);
  if (page === "board" && kind === "device") return String(value !== null);
  if ((page === "board" || page === "jobs") && kind === "job") return String(value !== null);
  return undefined;
}

function known(page, key, value) {
  if (page === "job") return false; // it may have moved between the page and the first frame
  const element = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (page === "stock") return element?.dataset.revision === String(value?.revision);
  // A list of the latest few does not hold every job of the feed: only one placed after the page is new to it.
  if (key.startsWith("job/") && value.placed_at_ms < Number(document.body.dataset.nowMs) - 1000) return true;
  return Boolean(element);
}
