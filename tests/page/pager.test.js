import assert from "node:assert/strict";
import { test } from "node:test";
import { pageNumbers } from "../../src/whatsit/web/ui/assets/ask/gallery/pager.js";

for (const [page, last, expected] of [
  [1, 1, [1]],
  [1, 4, [1, 2, 3, 4]],
  [5, 9, [1, 0, 4, 5, 6, 0, 9]],
  [3, 17, [1, 2, 3, 4, 0, 17]],
  [17, 17, [1, 0, 16, 17]],
]) {
  test(`page ${page} of ${last} offers ${expected}`, () => {
    assert.deepEqual(pageNumbers(page, last), expected);
  });
}
