// Dispensers, flasks and job rows.

import { massFor, setText } from "./format.js";
import { LiveElement } from "./live-element.js";
import { sentence, showChip } from "./words.js";

const INSIDE = { bottom: 88, height: 81 }; // the drawn vessel, as in parts.html

class DispenserTile extends LiveElement {
  show(device) {
    showChip(this.bind("presence"), "presence", device.online ? "online" : "offline");
    this.bind("seen")?.setAttribute("at", device.seen_at_ms ?? "");
    this.say("fault", device.fault && sentence("fault", device.fault));
    this.say("refusal", device.refusal && sentence("refusal", device.refusal));
    const job = this.bind("job");
    if (!job) return;
    job.hidden = !device.job;
    if (device.job) job.href = `/jobs/${device.job}`;
    const free = this.bind("job-free");
    free.hidden = Boolean(device.job);
    setText(free, device.online ? "Free" : "No job in hand");
  }
}

class FlaskView extends LiveElement {
  show(flask) {
    for (const name of ["stock_mg", "reserved_mg", "available_mg"]) {
      const shown = this.bind(name);
      setText(shown, massFor(shown)(flask[name]));
    }
    const level = share(flask.stock_mg, flask.capacity_mg);
    const kept = Math.min(level, share(flask.reserved_mg, flask.capacity_mg));
    const top = (INSIDE.bottom - INSIDE.height * level).toFixed(1);
    fill(this.bind("fill"), top, INSIDE.height * level);
    fill(this.bind("reserved-fill"), top, INSIDE.height * kept);
    showChip(this.bind("note"), "stock", note(flask));
    this.toggleAttribute("data-pouring", flask.item?.state === "dispensing");
    const ask = this.bind("needs-count");
    if (ask) ask.hidden = !flask.needs_count;
    this.dataset.available = flask.available_mg;
  }
}

class JobRow extends LiveElement {
  show(job) {
    showChip(this.bind("chip"), "job", job.state);
    setText(this.bind("done"), String(job.done));
  }
}

const share = (part, whole) => (whole ? Math.min(1, Math.max(0, part / whole)) : 0);

function fill(rect, top, height) {
  rect?.setAttribute("y", top);
  rect?.setAttribute("height", height.toFixed(1));
}

function note(flask) {
  if (flask.needs_count) return "needs_count";
  if (flask.stock_mg === 0) return "empty";
  return flask.stock_mg < flask.low_mg ? "low" : null;
}

customElements.define("dispenser-tile", DispenserTile);
customElements.define("flask-view", FlaskView);
customElements.define("job-row", JobRow);
