import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { dayInWords, timeInWords } from "../../src/whatsit/web/ui/assets/ask/history/times.js";
import { speak } from "./support.js";

const NOW = new Date(2026, 4, 20, 15, 30).getTime();
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

beforeEach((context) => context.mock?.timers.reset());

for (const [tag, ago, day, time] of [
  ["en", 0, "Today", "now"],
  ["en", 5 * MINUTE, "Today", "5 minutes ago"],
  ["en", 3 * 60 * MINUTE, "Today", "3 hours ago"],
  ["en", DAY, "Yesterday", "3:30 PM"],
  ["en", 3 * DAY, "Sunday", "3:30 PM"],
  ["en", 40 * DAY, "April 10", "3:30 PM"],
  ["en", 400 * DAY, "April 15, 2025", "3:30 PM"],
  ["de", DAY, "Gestern", "15:30"],
  ["es", 3 * DAY, "domingo", "15:30"],
]) {
  test(`${ago / MINUTE} minutes ago in ${tag}`, async (context) => {
    await speak(tag);
    context.mock.timers.enable({ apis: ["Date"], now: NOW });

    assert.equal(dayInWords(NOW - ago), day);
    assert.equal(timeInWords(NOW - ago).replace("\u202f", " "), time);
  });
}
