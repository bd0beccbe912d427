// How true the page is: the banner, the footer, and ages that tick.

import { feed, serverNow } from "./feed.js";
import { age, setText, time } from "./format.js";

const GRACE_MS = 1500; // a server that restarts at once is no news

class TimeAgo extends HTMLElement {
  static observedAttributes = ["at"];

  connectedCallback() {
    ages.add(this);
    this.tick();
  }

  disconnectedCallback() {
    ages.delete(this);
  }

  attributeChangedCallback() {
    this.tick();
  }

  tick() {
    const at = this.getAttribute("at");
    setText(this, age(at ? Number(at) : null, serverNow()));
  }
}

class LiveBanner extends HTMLElement {
  connectedCallback() {
    feed?.addEventListener("link", () => this.tick());
    feed?.watch("feed", () => this.tick());
    banners.add(this);
  }

  tick() {
    if (!feed) return;
    const lost = feed.link === "lost" || feed.link === "connecting";
    const health = feed.get("feed") ?? {};
    let words = "";
    let since = null;
    if (feed.link === "signed-out") words = "You are signed out. Open a new sign-in link: pitada link prints one.";
    else if (feed.link === "gone") words = "The ledger no longer has this job.";
    else if (feed.link === "refused") words = "This address is not the dashboard's own. Open its own address.";
    else if (lost && Date.now() - feed.lastFrameAt > GRACE_MS) {
      since = feed.heardAt;
      words = since ? `No connection to the server. What you see is as of ${time(since)}.` : "No live connection to the server yet.";
    } else if (!lost && health.broker === "unreachable") {
      since = health.since_ms;
      words = `The broker cannot be reached. What dispensers do is as of ${time(since)}.`;
    } else if (!lost && health.ledger === "unreachable") {
      since = health.since_ms;
      words = `The ledger cannot be read. Stock and jobs are as of ${time(since)}.`;
    }
    this.hidden = !words;
    setText(this.querySelector('[data-bind="words"]'), words);
    setText(this.querySelector('[data-bind="age"]'), since ? age(since, serverNow()) : "");
    document.body.dataset.link = words ? "lost" : feed.link === "live" ? "live" : "connecting";
  }
}

class LinkState extends HTMLElement {
  tick() {
    if (!feed) return;
    const live = document.body.dataset.link === "live";
    setText(this.querySelector('[data-bind="words"]'), live ? "Live: what you see is now." : `As of ${time(feed.heardAt ?? Number(document.body.dataset.nowMs))}.`);
  }

  connectedCallback() {
    banners.add(this);
  }
}

const ages = new Set();
const banners = new Set();
setInterval(() => {
  for (const element of banners) element.tick();
  for (const element of ages) element.tick();
}, 500);

customElements.define("time-ago", TimeAgo);
customElements.define("live-banner", LiveBanner);
customElements.define("link-state", LinkState);
