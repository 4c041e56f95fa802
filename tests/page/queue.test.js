import assert from "node:assert/strict";
import { before, beforeEach, test } from "node:test";
import { Problem } from "../../src/whatsit/web/ui/assets/ask/problems.js";
import { Queue } from "../../src/whatsit/web/ui/assets/ask/queue.js";
import { replyOf, speak, waiting } from "./support.js";

const BUSY = { status: 503, code: "overloaded", detail: "Busy." };

before(() => speak("en"));

let asked;
let answers;
let progress;
let queue;
beforeEach(() => {
  asked = [];
  progress = [];
  answers = new Map();
  queue = new Queue({
    ask: (item, signal) => {
      asked.push(item.id);
      return new Promise((resolve, reject) => {
        answers.set(item.id, { resolve, reject });
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    onChange: () => {},
    onProgress: (one) => progress.push(one),
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const items = (count) => Array.from({ length: count }, (_, place) => waiting(place));
const states = (all) => all.map(({ state }) => state).join(" ");

test("four are asked about at once, the next as one is answered", async () => {
  const all = items(6);
  queue.push(all);
  await turn();
  assert.deepEqual(asked, ["p0", "p1", "p2", "p3"]);
  answers.get("p2").resolve(replyOf());
  await turn();

  assert.deepEqual(asked, ["p0", "p1", "p2", "p3", "p4"]);
  assert.equal(all[2].state, "done");
  assert.equal(all[2].sha256, "ab".repeat(32));
  assert.deepEqual(progress.at(-1), { done: 1, total: 6, pauseSeconds: 0 });
});

test("a refusal is the item's own and stops none of the others", async () => {
  const all = items(2);
  queue.push(all);
  await turn();
  answers.get("p0").reject(new Problem({ status: 400, code: "image_unreadable", detail: "No." }));
  answers.get("p1").resolve(replyOf());
  await turn();

  assert.equal(states(all), "refused done");
  assert.deepEqual(all[0].problem, { status: 400, code: "image_unreadable", detail: "No." });
});

test("a busy server is asked again when it said, and nothing else before", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const [one, other] = items(2);
  queue.push([one]);
  await turn();
  answers.get("p0").reject(new Problem({ ...BUSY, retryAfter: 2 }));
  await turn();
  queue.push([other]);
  await turn();
  assert.deepEqual(asked, ["p0"]);
  assert.equal(progress.at(-1).pauseSeconds, 2);
  for (let step = 0; step < 4; step += 1) {
    context.mock.timers.tick(500);
    await turn();
  }

  assert.deepEqual(asked, ["p0", "p0", "p1"]);
  answers.get("p0").resolve(replyOf());
  await turn();
  assert.equal(one.state, "done");
});

test("a server that wants to be left alone for too long is not asked again", async () => {
  const all = items(1);
  queue.push(all);
  await turn();
  answers.get("p0").reject(new Problem({ ...BUSY, retryAfter: 121 }));
  await turn();

  assert.equal(all[0].problem.code, "overloaded");
  assert.equal(asked.length, 1);
});

test("what waits is given back by a cancel, and what runs ends as cancelled", async () => {
  const all = items(6);
  queue.push(all);
  await turn();
  const left = queue.cancel();
  await turn();

  assert.deepEqual(left, all.slice(4));
  assert.equal(states(all.slice(0, 4)), "refused refused refused refused");
  assert.equal(all[0].problem.code, "cancelled");
  queue.push([waiting(9)]);
  await turn();
  assert.equal(asked.at(-1), "p9");
});
