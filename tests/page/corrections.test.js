import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  correct,
  guessesOf,
  takeBack,
} from "../../src/whatsit/web/ui/assets/ask/correct/corrections.js";
import { digestOf, labelOf, pathOf } from "../../src/whatsit/web/ui/assets/ask/item.js";
import { Problem } from "../../src/whatsit/web/ui/assets/ask/problems.js";
import { answered, speak } from "./support.js";

const LYNX = { verdict: "other", label: "lynx", wnid: "n02127052" };
const FOX = { verdict: "other", label: "fox", wnid: null };

before(() => speak("en"));

/** An API that keeps what it is sent. */
function memory({ refusal } = {}) {
  const kept = new Map();
  return {
    kept,
    async sendFeedback({ picture, ...said }) {
      const id = `c${kept.size + 1}`;
      kept.set(id, said);
      return {
        ...said,
        label: said.label ?? null,
        wnid: said.wnid ?? null,
        id,
        at: "now",
        picture_kept: false,
      };
    },
    async undoFeedback(id) {
      if (refusal) throw refusal;
      kept.delete(id);
    },
  };
}

test("a right answer is kept with what the model said", async () => {
  const api = memory();
  const item = answered(0, "wren");
  await correct({ api, item, choice: { verdict: "right" } });

  const { answer } = item.reply;
  const said = { sha256: digestOf(item), verdict: "right", label: "wren", wnid: answer.wnid };
  assert.deepEqual([...api.kept.values()], [said]);
  assert.equal(item.reply.correction.verdict, "right");
});

test("a picture that the server did not keep is reported", async () => {
  const picture = new Blob(["picture"]);
  const given = { api: memory(), item: answered(0), choice: LYNX };

  assert.equal((await correct({ ...given, picture })).isPictureLost, true);
  assert.equal((await correct(given)).isPictureLost, false);
});

test("what was said before counts again after an undo", async () => {
  const api = memory();
  const item = answered(0);
  await correct({ api, item, choice: LYNX });
  await correct({ api, item, choice: FOX });
  assert.equal(labelOf(item).label, "fox");

  await takeBack({ api, items: [item] });
  assert.equal(labelOf(item).label, "lynx");
  await takeBack({ api, items: [item] });
  assert.equal(item.reply.correction, undefined);
  assert.equal(labelOf(item).label, "beagle");
  assert.equal(api.kept.size, 0);
});

test("a correction that the server has lost counts as taken back, another failure does not", async () => {
  for (const [status, done, failed] of [
    [404, 1, 0],
    [503, 0, 1],
  ]) {
    const refusal = new Problem({ status, code: "trouble", detail: "No." });
    const api = memory({ refusal });
    const item = answered(0);
    await correct({ api, item, choice: LYNX });

    const ended = await takeBack({ api, items: [item] });
    assert.deepEqual([ended.done.length, ended.failed.length], [done, failed]);
    assert.equal("correction" in item.reply, status === 503);
  }
});

test("the other guesses of all pictures add up", () => {
  const top = (...scored) => scored.map(([label, score]) => ({ label, wnid: null, score }));
  const one = answered(0, "bee", { top: top(["bee", 0.6], ["fly", 0.2], ["wasp", 0.1]) });
  const other = answered(1, "fly", { top: top(["fly", 0.5], ["wasp", 0.4]) });
  const names = (items) => guessesOf(items).map(({ label }) => label);

  assert.deepEqual(names([one]), ["fly", "wasp"]);
  assert.deepEqual(names([one, other]), ["fly", "bee", "wasp"]);
});

test("a path has neither empty ends nor doubled slashes", () => {
  assert.equal(pathOf({ name: "a.jpg", folder: "x/y//" }), "x/y/a.jpg");
  assert.equal(pathOf({ name: "a.jpg", folder: null }), "a.jpg");
});
