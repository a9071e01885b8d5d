// Does something to every element that a selector names: those of the page, and those that come later in a dialog.

const makers = [];

/** Calls `make(element)` once for each element that there is or that comes. */
export function each(selector, make) {
  makers.push([selector, make]);
  apply(document, selector, make);
}

/** Says that elements have come. */
export function arrived(root) {
  for (const [selector, make] of makers) apply(root, selector, make);
}

const done = new WeakMap();

function apply(root, selector, make) {
  for (const element of root.querySelectorAll(selector)) {
    const made = done.get(element) ?? new Set();
    if (made.has(make)) continue;
    done.set(element, made.add(make));
    make(element);
  }
}
