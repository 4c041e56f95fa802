/** The service's HTTP API, as the page uses it. */

import { t } from "./i18n.js";

const OWN_FOLDER = "/whatsit-assets/";

/**
 * Where the service is: an origin, and a prefix where a proxy puts one before the page.
 *
 * The module itself comes from there; in tests of its own, from anywhere.
 */
export const SERVICE = import.meta.url.includes(OWN_FOLDER)
  ? import.meta.url.slice(0, import.meta.url.indexOf(OWN_FOLDER))
  : window.location.origin;

const BASE = `${SERVICE}/api/v1`;

/** Why there is no answer. */
export class Problem extends Error {
  /**
   * @param {{status: number, code: string, detail: string, retryAfter?: number|null}} facts
   *   `status` 0: the server was not reached. `retryAfter` in seconds.
   */
  constructor({ status, code, detail, retryAfter = null }) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** Talks to the API in the name of this page. */
export class Api {
  /** @param {{pass: string}} options `pass` stands in for an API key; see `X-Whatsit-Page`. */
  constructor({ pass }) {
    this.pass = pass;
  }

  /**
   * What a picture shows.
   *
   * @param {Blob} blob
   * @param {{signal?: AbortSignal, cache?: string, topK?: number}} [options]
   * @returns {Promise<Object>}
   */
  async classify(blob, { signal, cache, topK } = {}) {
    return this.#json("POST", `/classify${query({ cache, top_k: topK })}`, { body: blob, signal });
  }

  /**
   * What a picture elsewhere shows.
   *
   * @param {string} url
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Object>}
   */
  async classifyUrl(url, { signal } = {}) {
    return this.#json("POST", "/classify", { ...json({ url }), signal });
  }

  /**
   * The picture with what speaks for a label made bright.
   *
   * @param {Blob} blob
   * @param {string} label
   * @returns {Promise<Blob>}
   */
  async explain(blob, label) {
    const headers = { Accept: "image/png" };
    const path = `/explain${query({ label, format: "png" })}`;
    const response = await this.#send("POST", path, { body: blob, headers });
    return response.blob();
  }

  /**
   * The answer that is kept for a picture.
   *
   * @param {string} sha256
   * @returns {Promise<Object>}
   */
  async answer(sha256) {
    return this.#json("GET", `/answers/${encodeURIComponent(sha256)}`);
  }

  /**
   * Labels whose name or synonyms fit.
   *
   * @param {string} text
   * @param {{limit?: number}} [options]
   * @returns {Promise<Object[]>}
   */
  async labels(text, { limit = 20 } = {}) {
    return (await this.#json("GET", `/labels${query({ q: text, limit })}`)).labels;
  }

  /**
   * One label or group, with its definition.
   *
   * @param {string} wnid
   * @returns {Promise<Object>}
   */
  async label(wnid) {
    return this.#json("GET", `/labels/${encodeURIComponent(wnid)}`);
  }

  /**
   * Tell what a picture really shows.
   *
   * @param {{sha256: string, verdict: string, label?: string|null, wnid?: string|null,
   *   picture?: Blob|null}} correction `picture` only where the person agrees to its being kept.
   * @returns {Promise<Object>}
   */
  async sendFeedback({ sha256, verdict, label, wnid, picture }) {
    const facts = compact({ sha256, verdict, label, wnid });
    if (!picture) return this.#json("POST", "/feedback", json(facts));
    const form = new FormData();
    for (const [name, value] of Object.entries(facts)) form.append(name, value);
    form.append("file", picture, picture.name ?? "picture");
    return this.#json("POST", "/feedback", { body: form });
  }

  /**
   * Take a correction back.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  async undoFeedback(id) {
    await this.#send("DELETE", `/feedback/${encodeURIComponent(id)}`);
  }

  async #json(method, path, options) {
    return (await this.#send(method, path, options)).json();
  }

  async #send(method, path, { body, headers, signal } = {}) {
    let response;
    try {
      response = await fetch(BASE + path, {
        method,
        body,
        signal,
        headers: { "X-Whatsit-Page": this.pass, ...headers },
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ status: 0, code: "unreachable", detail: t("page.unreachable") });
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

async function problemOf(response) {
  let document = {};
  try {
    document = await response.json();
  } catch {
    // Something between us and the server has answered; its words are not for people.
  }
  const { code = "internal", detail = t("page.problem_internal") } = document;
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const retryAfter = Number.isFinite(wait) ? wait : null;
  return new Problem({ status: response.status, code, detail, retryAfter });
}

function query(parameters) {
  const text = new URLSearchParams(compact(parameters)).toString();
  return text && `?${text}`;
}

function json(facts) {
  return { body: JSON.stringify(facts), headers: { "Content-Type": "application/json" } };
}

function compact(facts) {
  return Object.fromEntries(
    Object.entries(facts).filter(([, value]) => value !== undefined && value !== null),
  );
}
