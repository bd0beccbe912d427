// The order form counts along; the server checks again.

import { mass, setText } from "./format.js";

class OrderForm extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => {
      this.#judge(event.target.closest("flask-view"));
      this.#count();
    });
    this.querySelector("form").addEventListener("submit", (event) => this.#once(event));
    addEventListener("pageshow", () => (this.sent = false));
    this.#count();
  }

  #count() {
    let totalMg = 0;
    let flasks = 0;
    for (const row of this.querySelectorAll("flask-view")) {
      const mg = milligrams(row.querySelector("input").value);
      totalMg += mg;
      flasks += mg > 0;
    }
    const total = this.querySelector('[data-bind="total"]');
    total.hidden = !flasks;
    setText(total, `${mass(totalMg)} from ${flasks} ${flasks === 1 ? "flask" : "flasks"}`);
  }

  // What the server said of an amount stays until that amount is written anew.
  #judge(row) {
    const input = row.querySelector("input");
    const availableMg = Number(row.dataset.available);
    const tooMuch = milligrams(input.value) > availableMg;
    setText(row.querySelector(".field-error"), tooMuch ? `Only ${mass(availableMg)} are available.` : "");
    input.setAttribute("aria-invalid", String(tooMuch));
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
