/** Work on many things, a few at a time. */

/**
 * @template Item
 * @typedef {object} Failure
 * @property {Item} item
 * @property {any} problem What was thrown.
 */

/**
 * Do something with every item; one that fails does not stop the others.
 *
 * @template Item
 * @param {Iterable<Item>} items Begun in this order.
 * @param {(item: Item) => Promise<unknown>} work
 * @param {object} options
 * @param {number} options.atOnce
 * @param {() => boolean} [options.isStopped] Once it is true, nothing further is begun.
 * @returns {Promise<Failure<Item>[]>} What failed, in the order of the items. Resolves once
 *   everything that was begun has ended.
 */
export async function forEachBounded(items, work, { atOnce, isStopped = () => false }) {
  const all = [...items];
  const waiting = all.entries();
  /** @type {Failure<Item>[]} */
  const failed = [];
  const worker = async () => {
    while (!isStopped()) {
      const { value, done } = waiting.next();
      if (done) return;
      const [place, item] = value;
      try {
        await work(item);
      } catch (problem) {
        failed[place] = { item, problem };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
  return failed.filter((one) => one !== undefined);
}
