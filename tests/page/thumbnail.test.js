import assert from "node:assert/strict";
import { test } from "node:test";
import { thumbnailSize } from "../../src/whatsit/web/ui/assets/ask/lib/thumbnail.js";

const sizes = [
  ["a wide one", [4000, 3000], [320, 240]],
  ["an upright one stays as sharp", [3000, 4000], [320, 427]],
  ["a very tall one", [1000, 10_000], [64, 640]],
  ["a line", [1, 100_000], [1, 640]],
  ["a small one is never enlarged", [100, 80], [100, 80]],
];

for (const [name, [width, height], expected] of sizes) {
  test(`the size of a thumbnail: ${name}`, () => {
    const size = thumbnailSize({ width, height });

    assert.deepEqual([size.width, size.height], expected);
  });
}
