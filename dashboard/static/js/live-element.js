// A custom element that shows one key of the feed, by changing text inside what the server rendered.

import { feed } from "./feed.js";

export class LiveElement extends HTMLElement {
  #stop = null;

  connectedCallback() {
    const key = this.dataset.key;
    if (feed && key) this.#stop = feed.watch(key, (value) => value && this.show(value));
  }

  disconnectedCallback() {
    this.#stop?.();
  }

  bind(name) {
    return this.querySelector(`[data-bind="${name}"]`);
  }

  // A sentence that is there or not.
  say(name, text) {
    const element = this.bind(name);
    if (!element) return;
    element.hidden = !text;
    if (text && element.textContent !== text) element.textContent = text;
  }
}
