/**
 * The gallery's filter in the address: `#gallery?label=beagle&sort=score`.
 *
 * It stands behind the `#`, so that the query stays with the page and its permalinks, and going
 * back between two filters does not make Streamlit run the page again: it does that wherever an
 * address without `#` is gone back to, which is why the first filter leaves a bare `#gallery`.
 */

const MARK = "#gallery";

const isOurs = (/** @type {string} */ hash) => hash === MARK || hash.startsWith(`${MARK}?`);

/**
 * @param {{onChange: (query: string) => void, signal: AbortSignal}} options `onChange` is called
 *   when somebody goes back, forward, or edits the address.
 * @returns {{read: () => string, push: (query: string) => void, replace: (query: string) => void}}
 */
export function createLink({ onChange, signal }) {
  let last = read();

  function read() {
    const hash = window.location.hash;
    return isOurs(hash) ? hash.slice(MARK.length + 1) : "";
  }

  /** @param {string} query */
  function addressOf(query) {
    const { pathname, search } = window.location;
    return `${pathname}${search}${MARK}${query ? `?${query}` : ""}`;
  }

  function changed() {
    const { hash } = window.location;
    if (hash !== "" && hash !== "#" && !isOurs(hash)) return; // an anchor of the page around us
    const query = read();
    if (query === last) return;
    last = query;
    onChange(query);
  }

  window.addEventListener("popstate", changed, { signal });
  window.addEventListener("hashchange", changed, { signal });

  return {
    read,
    push(query) {
      if (query === last) return;
      if (!isOurs(window.location.hash)) history.replaceState(history.state, "", addressOf(last));
      last = query;
      history.pushState(history.state, "", addressOf(query));
    },
    replace(query) {
      if (query === last) return;
      last = query;
      history.replaceState(history.state, "", addressOf(query));
    },
  };
}
