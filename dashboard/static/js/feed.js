// The live feed in the browser: one socket, the latest value of each key, and how old that is.

const SILENCE_MS = 3500; // two beats of 1.5 s were missed; people see a lost link within 5 s
const SAY_HELLO_MS = 5000; // the server drops a browser that is silent for 20 s
const RETRY_MS = [250, 500, 1000, 2000]; // then every two seconds: an operator is waiting
const ENDINGS = { 4401: "signed-out", 4403: "refused", 4404: "gone" };

export class Feed extends EventTarget {
  #url;
  #values = new Map();
  #watchers = new Map();
  #seq = 0;
  #socket = null;
  #tries = 0;
  #clockOffset;
  #link = "connecting";
  heardAt = null; // server time of the last frame
  lastFrameAt = Date.now(); // the browser's own time of it

  constructor(url, pageNow) {
    super();
    this.#url = url;
    this.#clockOffset = pageNow - Date.now();
    setInterval(() => this.#check(), 250);
    setInterval(() => this.#say("beat"), SAY_HELLO_MS);
    addEventListener("online", () => this.#reconnectNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#reconnectNow());
    this.#connect();
  }

  // The server's clock, so that an age is right on a phone whose clock is wrong.
  now() {
    return Date.now() + this.#clockOffset;
  }

  get link() {
    return this.#link;
  }

  get(key) {
    return this.#values.get(key);
  }

  // Calls back with the value now, when there is one, and after each change. Returns how to stop.
  watch(key, callback) {
    if (!this.#watchers.has(key)) this.#watchers.set(key, new Set());
    this.#watchers.get(key).add(callback);
    if (this.#values.has(key)) callback(this.#values.get(key));
    return () => this.#watchers.get(key)?.delete(callback);
  }

  #connect() {
    const address = new URL(this.#url, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.openedAt = Date.now();
    socket.onmessage = (event) => this.#socket === socket && this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.#socket === socket && this.#closed(event.code);
  }

  #take(frame) {
    this.#clockOffset = frame.now_ms - Date.now();
    this.heardAt = frame.now_ms;
    this.lastFrameAt = Date.now();
    if (frame.type === "snapshot") {
      this.#tries = 0;
      for (const key of [...this.#values.keys()]) if (!(key in frame.set)) this.#set(key, null);
    } else if (frame.type === "delta" && frame.from !== this.#seq) {
      if (this.#seq) this.#say("snapshot");
      this.#seq = 0;
      return;
    }
    if (frame.type !== "beat") {
      this.#seq = frame.seq;
      for (const [key, value] of Object.entries(frame.set)) this.#set(key, value);
    }
    this.#linkIs("live");
  }

  #set(key, value) {
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
    for (const callback of this.#watchers.get(key) ?? []) callback(value);
    this.dispatchEvent(new CustomEvent("change", { detail: { key, value } }));
  }

  #say(word) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(word);
  }

  #check() {
    if (this.#socket && Date.now() - Math.max(this.lastFrameAt, this.openedAt) > SILENCE_MS) {
      const socket = this.#socket;
      this.#closed(0);
      socket.close();
    }
  }

  #closed(code) {
    this.#socket = null;
    this.#seq = 0;
    if (ENDINGS[code]) {
      this.#linkIs(ENDINGS[code]);
      return;
    }
    this.#linkIs("lost");
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)] * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.#connect(), wait);
  }

  #reconnectNow() {
    if (this.#socket || this.#link !== "lost") return;
    clearTimeout(this.retry);
    this.#connect();
  }

  #linkIs(link) {
    if (this.#link === link) return;
    this.#link = link;
    this.dispatchEvent(new Event("link"));
  }
}

const body = document.body;
export const feed = body.dataset.feed ? new Feed(body.dataset.feed, Number(body.dataset.nowMs)) : null;
export const serverNow = () => (feed ? feed.now() : Date.now());
