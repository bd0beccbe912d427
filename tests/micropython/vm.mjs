// One boot of a MicroPython dispenser: `node vm.mjs '<options as JSON>'`. One process per boot: two machines in one
// thread corrupt each other, and only a process can lose its power.
//
// Options: lib (directory of modules), flash (directory on the host), call ("module:function"), arguments (list),
// heap_bytes, is_capped, cut_at (0: never; n: power goes at the n-th flash operation), torn_bytes (what of a file is
// written when power goes while it is; -1: nothing).
// Output lines are written at once, so that they outlive a SIGKILL.

import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import tls from "node:tls";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";

const options = JSON.parse(process.argv[2]);
const say = (line) => fs.writeSync(1, line + "\n");
process.on("uncaughtException", (error) => {
  say("crashed " + String(error.stack).slice(0, 1000));
  process.exit(3);
});

// Every growth of memory that the cap below refuses is logged there.
const complain = console.error;
console.error = (...words) => { if (!options.is_capped) complain(...words); };

const machine = await loadMicroPython({
  heapsize: options.heap_bytes,
  linebuffer: true,
  stdout: (line) => say("out " + line),
  stderr: (line) => say("err " + line),
});

// The bridge to the network. Nothing here may throw: a JavaScript exception is none in Python, it ends the machine.
// Bytes pass as hexadecimal text, which both sides convert fast.

const ECONNRESET = 104;
const EBADF = 9;
const streams = new Map();
let lastStream = 0;

const wake = (stream) => {
  const waiting = stream.waiting;
  stream.waiting = [];
  for (const resolve of waiting) resolve();
};

const failed = (stream) => (stream?.isGreeting ? "tls" : ECONNRESET);

const follow = (stream, socket) => {
  stream.socket = socket;
  socket.on("data", (data) => {
    stream.queue.push(data);
    // As much as the receive window of the ESP32's TCP holds: a peer that sends more has to wait.
    stream.size += data.length;
    if (stream.size > 5744) socket.pause();
    wake(stream);
  });
  socket.on("end", () => { stream.isEnded = true; wake(stream); });
  socket.on("error", (error) => { stream.error ||= stream.isGreeting ? "tls" : -(error.errno ?? -ECONNRESET); wake(stream); });
  socket.on("close", () => { stream.isEnded = true; wake(stream); });
};

machine.registerJsModule("_bridge", {
  // Resolves when the stream is open, and also when it is not: on the chip only reading or writing tells.
  connect: (host, port, ca) => new Promise((resolve) => {
    const stream = { queue: [], size: 0, waiting: [], isEnded: false, isGreeting: false, error: 0 };
    const id = ++lastStream;
    streams.set(id, stream);
    const socket = net.connect({ host, port, noDelay: true });
    socket.on("connect", () => {
      if (ca) {
        stream.isGreeting = true;
        const secure = tls.connect({ socket, ca, servername: net.isIP(host) ? "" : host, host });
        secure.on("secureConnect", () => { stream.isGreeting = false; });
        follow(stream, secure);
      }
      resolve(id);
    });
    socket.on("error", (error) => { stream.error ||= -(error.errno ?? -ECONNRESET); wake(stream); resolve(id); });
    if (!ca) follow(stream, socket);
    stream.raw = socket;
  }),
  // Two steps: a promise cannot be cancelled, so a task that is cancelled while it waits must not swallow bytes.
  ready: (id) => new Promise((resolve) => {
    const stream = streams.get(id);
    if (stream && !stream.queue.length && !stream.error && !stream.isEnded) stream.waiting.push(resolve);
    else resolve();
  }),
  // Hexadecimal text of at most `count` bytes, "" at the end of the stream, or an error: a number, or "tls".
  take: (id, count) => {
    const stream = streams.get(id);
    if (!stream) return EBADF;
    if (!stream.queue.length) return stream.error === "tls" ? "tls" : stream.error || "";
    const data = Buffer.concat(stream.queue.splice(0));
    if (data.length > count) stream.queue.push(data.subarray(count));
    stream.size = Math.max(0, data.length - count);
    if (stream.size <= 5744) stream.socket.resume();
    return data.subarray(0, count).toString("hex");
  },
  // 0, or an error as in `take`.
  write: (id, hex) => {
    const stream = streams.get(id);
    if (!stream || stream.error || stream.isEnded || !stream.socket) return failed(stream);
    stream.written = new Promise((resolve) => {
      stream.socket.write(Buffer.from(hex, "hex"), (error) => resolve(error ? failed(stream) : 0));
    });
    return 0;
  },
  // Resolves when all that was written is on its way: 0, or an error as in `take`.
  drain: (id) => streams.get(id)?.written ?? Promise.resolve(0),
  close: (id) => {
    const stream = streams.get(id);
    streams.delete(id);
    if (!stream) return;
    stream.error ||= EBADF;
    stream.socket?.destroy();
    stream.raw.destroy();
    wake(stream);
  },
  say: (line) => say(line),
  operations: () => operations,
  // Microseconds of processor time so far: how long a turn took, whatever else the host does meanwhile.
  // Of this thread alone, in steps of the scheduler's tick: the process's includes what V8 compiles and clears up beside it.
  worked_us: () => {
    try {
      return Number(fs.readFileSync("/proc/thread-self/schedstat", "latin1").split(" ", 1)[0]) / 1000;
    } catch {
      const { user, system } = process.cpuUsage();
      return user + system;
    }
  },
  // What Python gave to JavaScript lives in Python's heap until JavaScript has cleared up. The chip has no such second
  // heap, so that is done before the first one is measured; resolves when it is done.
  settle: async () => {
    for (let round = 0; round < 3; round += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
  // The next line of standard input, for what people do to a dispenser.
  hear: () => new Promise((resolve) => {
    if (heard.length) resolve(heard.shift());
    else hearing = resolve;
  }),
  exit: (code) => { say("operations " + operations); process.exit(code); },
});

const heard = [];
let hearing = null;
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const resolve = hearing;
  hearing = null;
  if (resolve) resolve(line);
  else heard.push(line);
});

// Flash: files in the machine's memory, with the rules of littlefs on the way to the host's directory. What is written
// becomes durable when its file is closed; a rename or a removal is one step.

const FS = machine.FS;
const ROOT = "/flash";
let operations = 0;
const onHost = (name) => path.join(options.flash, path.basename(name));
const isFlash = (name) => typeof name === "string" && name.startsWith(ROOT + "/");

const copyIn = (from, to) => {
  FS.mkdirTree(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const inside = `${to}/${entry.name}`;
    if (entry.isDirectory()) copyIn(path.join(from, entry.name), inside);
    else FS.writeFile(inside, fs.readFileSync(path.join(from, entry.name)));
  }
};
copyIn(options.lib, "/lib");
fs.mkdirSync(options.flash, { recursive: true });
copyIn(options.flash, ROOT);

const cut = (what, torn) => {
  operations += 1;
  if (options.cut_at !== operations) return;
  torn?.();
  say(`cut at operation ${operations}: ${what}`);
  process.kill(process.pid, "SIGKILL");
  for (;;);
};
const original = { close: FS.close, rename: FS.rename, unlink: FS.unlink };
FS.close = (file) => {
  const name = file.path;
  const isWritten = (file.flags & 3) !== 0;
  original.close.call(FS, file);
  if (!isWritten || !isFlash(name)) return;
  const data = FS.readFile(name);
  cut("close " + name, () => {
    if (options.torn_bytes >= 0) fs.writeFileSync(onHost(name), data.subarray(0, options.torn_bytes));
  });
  fs.writeFileSync(onHost(name), data);
};
FS.rename = (from, to) => {
  if (isFlash(to)) {
    cut(`rename ${from} ${to}`);
    fs.renameSync(onHost(from), onHost(to));
  }
  return original.rename.call(FS, from, to);
};
FS.unlink = (name) => {
  if (isFlash(name)) {
    cut("unlink " + name);
    fs.rmSync(onHost(name), { force: true });
  }
  return original.unlink.call(FS, name);
};

machine.runPython("import tests.micropython.inside.boot as _boot");
if (options.is_capped) {
  // `heap_bytes` is only where the heap begins: let it not grow. No more memory for WebAssembly, and none left in it.
  WebAssembly.Memory.prototype.grow = () => { throw new RangeError("the heap is capped"); };
  const malloc = machine._module._malloc;
  let spare = 0;
  for (const size of [1 << 20, 1 << 16, 1 << 12]) {
    for (let block = malloc(size); block; block = malloc(size)) if (size === 1 << 16) spare = block;
  }
  machine._module._free(spare); // 64 KiB to hand text over with
  setInterval(globalThis.gc, 100).unref(); // see `settle`
}
machine.globals.set("_call", options.call);
machine.globals.set("_arguments", JSON.stringify(options.arguments));
machine.runPython("_boot.start(_call, _arguments)");
