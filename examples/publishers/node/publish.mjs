// Publish a run and wait for its end: node publish.mjs '{"function": "add", "parameters": {"a": 1, "b": 2}}'
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";

const root = `sluice:{${process.env.SLUICE_POOL ?? "default"}}`;

/** Add an entry; `reply` names the stream that is told what became of it. Returns the entry's id. */
async function publish(redis, document, reply) {
  return redis.xadd(`${root}:publish`, "*", "run", document, "reply", reply);
}

/** Everything that is told to `reply`, one object after the other: the answer, then the end. */
async function* told(redis, reply) {
  let last = "0-0";
  for (;;) {
    const streams = await redis.xread("BLOCK", 2000, "STREAMS", `${root}:reply:${reply}`, last);
    for (const [id, words] of streams?.[0][1] ?? []) {
      last = id;
      yield Object.fromEntries(words.flatMap((word, i) => (i % 2 ? [] : [[word, words[i + 1]]])));
    }
  }
}

const redis = new Redis(process.env.SLUICE_REDIS_URL ?? "redis://127.0.0.1:6379/0", { maxRetriesPerRequest: 3 });
try {
  const reply = `node-${randomUUID()}`;
  console.log(`entry ${await publish(redis, process.argv[2], reply)}`);
  for await (const line of told(redis, reply)) {
    if (line.state) {
      console.log(`run ${line.run} ${line.state}`);
      process.exitCode = line.state === "completed" ? 0 : 1;
      break;
    }
    console.log(`${line.status} ${line.run}`);
    if (line.status === "rejected") {
      console.error(line.reason);
      process.exitCode = 1;
      break;
    }
  }
} finally {
  redis.disconnect();
}
