// Makes an element's children like those of another without touching what is alike already: focus, selection and
// scroll positions survive, and an element that moved keeps its identity by its id.

export function morph(target, source) {
  let at = target.firstChild;
  for (const wanted of [...source.childNodes]) {
    const found = match(at, wanted);
    if (found === null) {
      target.insertBefore(wanted, at);
      continue;
    }
    if (found !== at) {
      (target.moveBefore ?? target.insertBefore).call(target, found, at); // the first keeps focus, where there is one
    } else {
      at = at.nextSibling;
    }
    patch(found, wanted);
  }
  while (at !== null) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// The child from `at` on that stands for `wanted`: the one with its id, or the very next one where neither has an id.
function match(at, wanted) {
  if (wanted.id) {
    for (let child = at; child !== null; child = child.nextSibling) {
      if (child.id === wanted.id && child.nodeName === wanted.nodeName) {
        return child;
      }
    }
    return null;
  }
  return at !== null && at.nodeName === wanted.nodeName && !at.id ? at : null;
}

function patch(element, wanted) {
  if (element.nodeType !== Node.ELEMENT_NODE) {
    if (element.nodeValue !== wanted.nodeValue) {
      element.nodeValue = wanted.nodeValue;
    }
    return;
  }
  if (element.isEqualNode(wanted)) {
    return;
  }
  for (const { name } of [...element.attributes]) {
    if (!wanted.hasAttribute(name)) {
      element.removeAttribute(name);
    }
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value) {
      element.setAttribute(name, value);
    }
  }
  morph(element, wanted);
}
