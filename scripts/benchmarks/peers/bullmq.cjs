// BullMQ on node: concurrency 100, finished jobs removed at once, as its guide for production says to remove them.
"use strict";
const fs = require("node:fs");
const { setTimeout: pause } = require("node:timers/promises");
const { Queue, Worker } = require("bullmq");

const options = JSON.parse(process.env.BENCH_OPTIONS);
const [AT_ONCE, BULK, WARM_UP] = [50, 100, 200]; // as in program.py
const url = new URL(options.url);
// null: a worker waits for Redis for ever, which BullMQ demands.
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const now = () => Number(process.hrtime.bigint()); // CLOCK_MONOTONIC, as Python's monotonic_ns
const padding = "x".repeat(options.padding);
const made = (number, sent_ns = 0) => ({ number, sent_ns, padding });
const kept = { removeOnComplete: true, removeOnFail: true };
const range = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);

const open = () => new Queue("bench", { connection, defaultJobOptions: kept });
const one = (queue) => (number) => queue.add("record", made(number));
const bulk = (queue, numbers) => queue.addBulk(numbers.map((number) => ({ name: "record", data: made(number) })));

async function fill() {
  const queue = open();
  for (let at = 0; at < options.runs; at += 1000) await bulk(queue, range(at, Math.min(at + 1000, options.runs)));
  await queue.close();
}

// The first figure of schedstat is the time on a CPU of the server's main thread, in ns.
const served = () => Number(fs.readFileSync(`/proc/${options.server_pid}/schedstat`, "utf8").split(" ")[0]) / 1e3;
const used = () => process.cpuUsage().user + process.cpuUsage().system;

async function publish() {
  const queue = open();
  const ways = {
    one: async (numbers) => { for (const number of numbers) await one(queue)(number); },
    "at-once": async (numbers) => {
      for (let at = 0; at < numbers.length; at += AT_ONCE) await Promise.all(numbers.slice(at, at + AT_ONCE).map(one(queue)));
    },
    bulk: (numbers) => bulk(queue, numbers),
  };
  const way = ways[options.mode], step = options.mode === "bulk" ? BULK : options.runs;
  await way(range(0, WARM_UP));
  const [began, cpu, redis] = [now(), used(), served()];
  for (let at = 0; at < options.runs; at += step) await way(range(at, Math.min(at + step, options.runs)));
  const figures = {
    per_s: (options.runs / (now() - began)) * 1e9,
    client_us: (used() - cpu) / options.runs,
    redis_us: (served() - redis) / options.runs,
  };
  console.log(JSON.stringify(figures));
  await queue.close();
}

async function send() {
  const queue = open();
  for (const number of range(0, options.runs)) {
    await pause(options.spacing_ms * (0.67 + 0.66 * Math.random()));
    const due = now() + options.delay_ms * 1e6;
    await queue.add("record", made(number, due), options.delay_ms ? { delay: options.delay_ms } : {});
  }
  await queue.close();
}

async function worker() {
  const file = fs.openSync(options.records, "a");
  const record = async ({ data }) => {
    const bytes = Buffer.alloc(24);
    bytes.writeBigUInt64LE(BigInt(data.number), 0);
    bytes.writeBigUInt64LE(BigInt(data.sent_ns), 8);
    bytes.writeBigUInt64LE(process.hrtime.bigint(), 16);
    fs.writeSync(file, bytes);
  };
  await new Worker("bench", record, { connection, concurrency: options.slots }).waitUntilReady();
}

({ fill, publish, send, worker })[process.argv[2]]().catch((error) => { console.error(error); process.exit(1); });
