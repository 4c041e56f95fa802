import assert from "node:assert/strict";
import { test } from "node:test";
import { destination } from "../../src/whatsit/web/ui/assets/ask/gallery/keys.js";
import { Selection } from "../../src/whatsit/web/ui/assets/ask/gallery/selection.js";

const KEYS = { ctrlKey: false, metaKey: false, altKey: false };
const ORDER = ["a", "b", "c", "d", "e"];

for (const [key, place, expected, held = {}] of [
  ["ArrowLeft", 0, 0],
  ["ArrowLeft", 60, 59],
  ["ArrowRight", 199, 199],
  ["ArrowUp", 3, 3],
  ["ArrowUp", 7, 2],
  ["ArrowDown", 197, 199],
  ["Home", 75, 60],
  ["End", 75, 119],
  ["End", 185, 199],
  ["Home", 75, 0, { ctrlKey: true }],
  ["End", 75, 199, { metaKey: true }],
  ["PageUp", 75, 15],
  ["PageDown", 150, 199],
  ["ArrowLeft", 75, null, { altKey: true }],
  ["x", 75, null],
]) {
  test(`${Object.keys(held)} ${key} leads from ${place} to ${expected}`, () => {
    const grid = { place, count: 200, columns: 5, pageSize: 60 };

    assert.equal(destination({ ...KEYS, key, ...held }, grid), expected);
  });
}

const selected = (selection) => ORDER.filter((id) => selection.has(id)).join("");

test("a range is drawn from the last one that was switched, and can be drawn again", () => {
  const selection = new Selection();
  selection.toggle("b");
  selection.extendTo("d", ORDER, "a");
  assert.equal(selected(selection), "bcd");
  selection.extendTo("a", ORDER, "a");
  assert.equal(selected(selection), "ab");
});

test("a range that begins nowhere begins where the focus was", () => {
  const selection = new Selection();
  selection.toggle("e");
  selection.remove("e");
  selection.extendTo("c", ORDER, "b");

  assert.equal(selected(selection), "bc");
  selection.clear();
  assert.equal(selection.size, 0);
});
