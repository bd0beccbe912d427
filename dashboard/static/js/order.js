// The order form counts along; the server checks again.

import { mass, setText } from "./format.js";

class OrderForm extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", () => this.#count());
    this.querySelector("form").addEventListener("submit", (event) => this.#once(event));
    addEventListener("pageshow", () => (this.sent = false));
    this.#count();
  }

  #count() {
    let totalMg = 0;
    let flasks = 0;
    for (const row of this.querySelectorAll("flask-view")) {
      const input = row.querySelector("input");
      const mg = milligrams(input.value);
      const tooMuch = mg > Number(row.dataset.available);
      const error = row.querySelector(".field-error");
      if (tooMuch) setText(error, `Only ${mass(Number(row.dataset.available))} are available.`);
      else if (document.activeElement === input) setText(error, "");
      input.setAttribute("aria-invalid", String(tooMuch || error.textContent !== ""));
      totalMg += mg;
      flasks += mg > 0;
    }
    const total = this.querySelector('[data-bind="total"]');
    total.hidden = !flasks;
    setText(total, `${mass(totalMg)} from ${flasks} ${flasks === 1 ? "flask" : "flasks"}`);
  }

  // The form's key makes a second sending harmless; this only spares the wait.
  #once(event) {
    if (this.sent) event.preventDefault();
    this.sent = true;
  }
}

function milligrams(text) {
  const number = Number(text.trim().replace(",", "."));
  return Number.isFinite(number) && number > 0 ? Math.round(number * 1000) : 0;
}

customElements.define("order-form", OrderForm);
