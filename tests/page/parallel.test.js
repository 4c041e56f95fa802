import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachBounded } from "../../src/whatsit/web/ui/assets/ask/lib/parallel.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("no more than so many are worked on at once, and all are", async () => {
  let running = 0;
  let most = 0;
  const done = [];
  await forEachBounded(
    [1, 2, 3, 4, 5, 6, 7],
    async (item) => {
      running += 1;
      most = Math.max(most, running);
      await turn();
      running -= 1;
      done.push(item);
    },
    { atOnce: 3 },
  );

  assert.equal(most, 3);
  assert.deepEqual(done.sort(), [1, 2, 3, 4, 5, 6, 7]);
});

test("what fails comes back in the order of the items and stops none of the others", async () => {
  const done = [];
  const failed = await forEachBounded(
    ["a", "b", "c", "d"],
    async (item) => {
      if (item === "a") await turn();
      if (item === "a" || item === "c") throw new Error(item);
      done.push(item);
    },
    { atOnce: 4 },
  );

  assert.deepEqual(
    failed.map(({ item, problem }) => [item, problem.message]),
    [
      ["a", "a"],
      ["c", "c"],
    ],
  );
  assert.deepEqual(done, ["b", "d"]);
});

test("once it is stopped nothing is begun, and what runs is waited for", async () => {
  const begun = [];
  const ended = [];
  await forEachBounded(
    [1, 2, 3, 4],
    async (item) => {
      begun.push(item);
      await turn();
      ended.push(item);
    },
    { atOnce: 2, isStopped: () => begun.length >= 2 },
  );

  assert.deepEqual(
    [begun, ended],
    [
      [1, 2],
      [1, 2],
    ],
  );
});

test("without items nothing is done", async () => {
  assert.deepEqual(await forEachBounded([], () => assert.fail(), { atOnce: 4 }), []);
});
