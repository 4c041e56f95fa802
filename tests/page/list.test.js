import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { reconcile } from "../../src/whatsit/web/ui/assets/ask/lib/list.js";

/** As much of a document as a list of children needs; Node has none. */
class Tree {
  activeElement = null;
}
class Place {
  children = [];
  inserted = 0;
  constructor(tree) {
    this.tree = tree;
  }
  getRootNode() {
    return this.tree;
  }
  get firstElementChild() {
    return this.children[0] ?? null;
  }
  contains(child) {
    return this.children.includes(child);
  }
  insertBefore(child, next) {
    child.remove(); // a browser takes the focus from what is moved
    const at = next ? this.children.indexOf(next) : this.children.length;
    this.children.splice(at, 0, child);
    child.parent = this;
    this.inserted += 1;
  }
}
class Child {
  parent = null;
  constructor(name, tree) {
    Object.assign(this, { name, tree });
  }
  get nextElementSibling() {
    return this.parent.children[this.parent.children.indexOf(this) + 1] ?? null;
  }
  remove() {
    if (!this.parent) return;
    this.parent.children.splice(this.parent.children.indexOf(this), 1);
    this.parent = null;
    if (this.tree.activeElement === this) this.tree.activeElement = null;
  }
  focus() {
    this.tree.activeElement = this;
  }
}
Object.assign(globalThis, { Document: Tree, ShadowRoot: class {} });

let tree;
let place;
let all;
beforeEach(() => {
  tree = new Tree();
  place = new Place(tree);
  all = Object.fromEntries([..."abcdef"].map((name) => [name, new Child(name, tree)]));
});
const show = (names) => {
  place.inserted = 0;
  reconcile(
    place,
    [...names].map((name) => all[name]),
  );
  return place.children.map(({ name }) => name).join("");
};

test("the children are those that are wanted, in their order", () => {
  for (const names of ["abc", "", "cab", "fedcba", "bdf", "abcdef"]) {
    assert.equal(show(names), names);
  }
});

test("what stands in its place is not touched", () => {
  show("abcd");

  assert.equal(show("abcd"), "abcd");
  assert.equal(place.inserted, 0);
  assert.equal(show("acd"), "acd");
  assert.equal(place.inserted, 0);
  assert.equal(show("aecd"), "aecd");
  assert.equal(place.inserted, 1);
});

test("the focus stays on an element that is moved, and goes with one that is removed", () => {
  show("abc");
  all.c.focus();
  show("cab");

  assert.equal(tree.activeElement, all.c);
  show("ab");
  assert.equal(tree.activeElement, null);
});
