// One job: its head, a row for each flask, and Stop.

import { feed, serverNow } from "./feed.js";
import { mass, roughMass, seconds, setText } from "./format.js";
import { LiveElement } from "./live-element.js";
import { meaning, sentence, showChip } from "./words.js";

const HOLD_MS = 1000; // long enough that a brush of the hand stops nothing
const ESTIMATE_EVERY_MS = 200;

class JobHead extends LiveElement {
  show(job) {
    showChip(this.bind("chip"), "job", job.state);
    setText(this.bind("meaning"), meaning("job", job.state));
    setText(this.bind("done"), String(job.done));
    setText(this.bind("dispensed_mg"), mass(job.dispensed_mg));
    this.bind("settling").hidden = job.settled || !job.ended_at_ms;
    this.say("refusal", job.refusal && sentence("refusal", job.refusal));
  }
}

class ItemRow extends LiveElement {
  #timer = null;

  show(item) {
    showChip(this.bind("chip"), "item", item.state);
    setText(this.bind("duration"), seconds(item.duration_ms));
    this.say("why", item.error && sentence("error", item.error));
    this.say("resolution", item.resolution && sentence("resolution", item.resolution));
    this.bind("doubt").hidden = item.state !== "in_doubt" || Boolean(item.resolution);
    this.toggleAttribute("data-pouring", item.state === "dispensing");
    clearInterval(this.#timer);
    if (item.state === "dispensing" && item.since_ms !== null && item.flow_mg_per_s) {
      this.#timer = setInterval(() => this.#estimate(item), ESTIMATE_EVERY_MS);
      this.#estimate(item);
    } else {
      this.#measured(item.dispensed_mg, false);
    }
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  // What the calibrated flow would have let out by now; never the whole target, which only a report can say.
  #estimate(item) {
    if (feed.link !== "live") return;
    const outMg = ((serverNow() - item.since_ms) * item.flow_mg_per_s) / 1000;
    this.#measured(Math.min(Math.max(0, outMg), item.target_mg * 0.99), true);
  }

  #measured(amountMg, estimated) {
    setText(this.bind("dispensed_mg"), estimated ? roughMass(amountMg) : mass(amountMg));
    this.bind("estimated").hidden = !estimated;
    this.toggleAttribute("data-estimated", estimated);
    const width = Math.min(100, (100 * (amountMg ?? 0)) / Number(this.dataset.target));
    this.bind("bar").setAttribute("width", width.toFixed(1));
  }
}

// A form's button that must be held, by pointer or by key, before it sends the form.
class HoldButton extends HTMLElement {
  #timer = null;

  connectedCallback() {
    const button = this.querySelector("button");
    if (this.upgraded || !button) return;
    this.upgraded = true;
    this.querySelector('[data-bind="help"]').hidden = false;
    const press = () => {
      if (this.#timer !== null || button.disabled) return;
      this.dataset.holding = "";
      this.#timer = setTimeout(() => this.#held(button), HOLD_MS);
    };
    const release = () => {
      clearTimeout(this.#timer);
      this.#timer = null;
      delete this.dataset.holding;
    };
    button.addEventListener("click", (event) => event.preventDefault());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("pointerdown", (event) => event.button === 0 && press());
    for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(end, release);
    button.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && (event.preventDefault(), press()));
    button.addEventListener("keyup", (event) => [" ", "Enter"].includes(event.key) && (event.preventDefault(), release()));
  }

  #held(button) {
    button.disabled = true;
    this.querySelector('[data-bind="label"]').textContent = "Asking for a stop…";
    button.form.submit();
  }
}

customElements.define("job-head", JobHead);
customElements.define("item-row", ItemRow);
customElements.define("hold-button", HoldButton);
