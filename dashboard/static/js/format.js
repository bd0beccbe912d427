// Numbers and times as the reader's own locale writes them.

const locale = navigator.languages?.length ? navigator.languages : undefined;
const grams = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
const signed = new Intl.NumberFormat(locale, { maximumFractionDigits: 3, signDisplay: "exceptZero" });
const rough = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
const SPACE = "\u202f";

export const mass = (mg) => (mg === null || mg === undefined ? "–" : `${grams.format(mg / 1000)}${SPACE}g`);
export const shortMass = (mg) => {
  const stepMg = Math.abs(mg) >= 1e6 ? 1000 : Math.abs(mg) >= 1e5 ? 100 : 10;
  return mass(Math.sign(mg) * Math.floor((2 * Math.abs(mg) + stepMg) / (2 * stepMg)) * stepMg);
};
export const signedMass = (mg) => `${signed.format(mg / 1000)}${SPACE}g`;
export const roughMass = (mg) => `≈${SPACE}${rough.format(mg / 1000)}${SPACE}g`;
export const seconds = (ms) => (ms === null ? "–" : `${rough.format(ms / 1000)}${SPACE}s`);
export const time = (ms) => clock.format(ms);

export function moment(ms, nowMs) {
  return Math.abs(nowMs - ms) < 12 * 3600e3 ? clock.format(ms) : day.format(ms);
}

export function age(ms, nowMs) {
  if (ms === null) return "never";
  const s = Math.max(0, Math.floor((nowMs - ms) / 1000));
  if (s >= 86400) return `${Math.floor(s / 86400)} d ago`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ago`;
  if (s >= 60) return `${Math.floor(s / 60)} min ago`;
  return s < 3 ? "just now" : `${s} s ago`;
}

// Server-rendered numbers and times, made local once.
export function localise(root, nowMs) {
  for (const data of root.querySelectorAll("data.mass")) {
    if (data.value === "") continue;
    setText(data, massFor(data)(Number(data.value)));
  }
  for (const element of root.querySelectorAll("time.moment")) {
    const at = Date.parse(element.dateTime);
    element.title = day.format(at);
    setText(element, moment(at, nowMs));
  }
}

// How this element shows its amount.
export function massFor(element) {
  if (element?.hasAttribute("data-signed")) return signedMass;
  return element?.hasAttribute("data-short") ? shortMass : mass;
}

// Writes only what differs: screen readers and layout stay quiet otherwise.
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
