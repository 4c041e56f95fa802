import assert from "node:assert/strict";
import { test } from "node:test";
import { curlFor, pythonFor } from "../../src/whatsit/web/ui/assets/ask/answer/snippets.js";

const facts = { origin: "https://whatsit.example", name: "bee.jpg", keysRequired: false };

test("a name that a shell would take apart is quoted", () => {
  assert.match(curlFor(facts), /^curl --data-binary @bee\.jpg \\\n {2}https:/);
  assert.match(curlFor({ ...facts, name: "my bee.jpg" }), /@'my bee\.jpg'/);
  assert.match(curlFor({ ...facts, name: "a'; rm -rf ~ #.jpg" }), /@'a'\\''; rm -rf ~ #\.jpg'/);
});

test("a name that Python would take apart is escaped", () => {
  assert.ok(pythonFor({ ...facts, name: 'a"\n.jpg' }).includes(String.raw`Path("a\"\n.jpg")`));
});

test("a key is asked for only where one is needed", () => {
  for (const write of [curlFor, pythonFor]) {
    assert.ok(!write(facts).includes("Bearer"));
    assert.ok(write({ ...facts, keysRequired: true }).includes("Bearer YOUR_KEY"));
  }
});
