/** The service's HTTP API, as the page uses it. */

import { t } from "./i18n.js";
import { Problem } from "./problems.js";

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

/** @typedef {"sure" | "probably" | "unsure"} Certainty */
/** @typedef {"right" | "other" | "none"} Verdict */

/**
 * @typedef {object} Scored A label or group and its probability.
 * @property {string} label
 * @property {string | null} wnid
 * @property {number} score From 0 to 1.
 */

/**
 * @typedef {object} AnswerFacts What the model commits to.
 * @property {string} text The sentence, in English.
 * @property {string} label
 * @property {string | null} wnid
 * @property {number} score
 * @property {Certainty} certainty
 * @property {boolean} recognised
 * @property {"class" | "group"} level
 * @property {string[]} path From the general to the label.
 * @property {Scored[]} set
 * @property {Part[]} [parts] What the sentence names, in its order; missing from what a browser kept
 *   of earlier versions.
 */

/**
 * @typedef {object} Part One thing that the sentence names.
 * @property {"stated" | "guess"} role
 * @property {"certain" | "almost_certain" | "probable" | "possible" | "closest"} hedge
 * @property {string} label
 * @property {string | null} wnid
 * @property {"class" | "group"} level
 * @property {number} score
 */

/**
 * @typedef {object} Reply The document of `/api/v1/classify`.
 * @property {AnswerFacts} answer
 * @property {Scored[]} top
 * @property {{width: number, height: number, format: string, sha256: string}} image
 * @property {string} cache
 * @property {Record<string, number>} timings_ms
 * @property {Correction} [correction] Set by the page.
 */

/**
 * @typedef {object} Correction What a person said of a picture.
 * @property {string} id What `undoFeedback` takes.
 * @property {Verdict} verdict
 * @property {string | null} label
 * @property {string | null} wnid Null for a label in a person's own words.
 * @property {string} at
 */

/**
 * @typedef {object} Label One that the model knows.
 * @property {string} label
 * @property {string | null} wnid
 * @property {string[]} [synonyms]
 * @property {string} [definition]
 */

/**
 * @typedef {object} Said A correction to be kept.
 * @property {string} sha256
 * @property {Verdict} verdict
 * @property {string | null} [label]
 * @property {string | null} [wnid]
 * @property {Blob | null} [picture] Only where the person agrees to its being kept.
 */

/** @typedef {{body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal}} Sending */

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
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Reply>}
   */
  async classify(blob, { signal } = {}) {
    return this.#json("POST", "/classify", { body: blob, signal });
  }

  /**
   * What a picture elsewhere shows.
   *
   * @param {string} url
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Reply>}
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
   * @returns {Promise<Reply>}
   */
  async answer(sha256) {
    return this.#json("GET", `/answers/${encodeURIComponent(sha256)}`);
  }

  /**
   * Labels whose name or synonyms match.
   *
   * @param {string} text
   * @param {{limit?: number}} [options]
   * @returns {Promise<Label[]>}
   */
  async labels(text, { limit = 20 } = {}) {
    return (await this.#json("GET", `/labels${query({ q: text, limit })}`)).labels;
  }

  /**
   * One label or group, with its definition.
   *
   * @param {string} wnid
   * @returns {Promise<Label>}
   */
  async label(wnid) {
    return this.#json("GET", `/labels/${encodeURIComponent(wnid)}`);
  }

  /**
   * Say what a picture really shows.
   *
   * @param {Said} said
   * @returns {Promise<Correction & {picture_kept?: boolean}>}
   */
  async sendFeedback({ sha256, verdict, label, wnid, picture }) {
    const facts = compact({ sha256, verdict, label, wnid });
    if (!picture) return this.#json("POST", "/feedback", json(facts));
    const form = new FormData();
    for (const [name, value] of Object.entries(facts)) form.append(name, value);
    form.append("file", picture, picture instanceof File ? picture.name : "picture");
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

  /**
   * @param {string} method
   * @param {string} path
   * @param {Sending} [sending]
   * @returns {Promise<any>}
   */
  async #json(method, path, sending) {
    return (await this.#send(method, path, sending)).json();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Sending} [sending]
   * @returns {Promise<Response>}
   */
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
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Problem({ status: 0, code: "unreachable", detail: t("page.unreachable") });
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

/** @param {Response} response */
async function problemOf(response) {
  /** @type {{code?: string, detail?: string}} */
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

/** @param {Record<string, string | number | null | undefined>} parameters */
function query(parameters) {
  return `?${new URLSearchParams(compact(parameters))}`;
}

/** @param {object} facts */
function json(facts) {
  return { body: JSON.stringify(facts), headers: { "Content-Type": "application/json" } };
}

/**
 * @param {Record<string, string | number | null | undefined>} facts
 * @returns {Record<string, string>} Without what is absent.
 */
function compact(facts) {
  const given = Object.entries(facts).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}
