import { morph } from "/static/morph.js";
import { local, localise } from "/static/times.js";

const AGAIN_AFTER = 3000; // milliseconds until a stream that the browser gave up is opened again
const PATIENCE = 4000; // milliseconds in which a lost stream may come back without a word

const dialog = document.getElementById("dialog");
const offline = document.getElementById("offline");
let events = null;
let again = 0;
let lostSince = null;
let answers = false; // the console to other requests, while this page has lost its stream

function show({ title, mood, fragments }) {
  for (const [id, html] of Object.entries(fragments)) {
    const wanted = document.createElement("template");
    wanted.innerHTML = html;
    localise(wanted.content);
    morph(document.getElementById(id), wanted.content);
  }
  document.title = title;
  if (document.documentElement.dataset.mood !== mood) {
    document.documentElement.dataset.mood = mood;
    document.getElementById("icon").href = `/static/${mood}.svg`;
  }
}

function listen() {
  clearTimeout(again);
  events?.close();
  const stream = new EventSource(`/events${location.search}`);
  events = stream;
  stream.addEventListener("update", (event) => {
    lostSince = null;
    answers = false;
    offline.hidden = true;
    show(JSON.parse(event.data));
  });
  stream.addEventListener("error", () => lost(stream));
}

function lost(stream) {
  if (stream !== events) {
    return;
  }
  if (lostSince === null) {
    lostSince = new Date();
    setTimeout(complain, PATIENCE);
  } else if (!offline.hidden) {
    complain(); // it may be for another reason by now
  }
  if (stream.readyState === EventSource.CLOSED) {
    again = setTimeout(retry, AGAIN_AFTER);
  }
}

function complain() {
  if (lostSince !== null) {
    const since = offline.querySelector("time");
    since.dateTime = lostSince.toISOString();
    since.textContent = local(lostSince);
    offline.querySelector("strong").textContent = answers
      ? "Too many pages are open, and this one stands still"
      : "The console does not answer";
    offline.hidden = false;
  }
}

// The browser itself does not try again after an answer that is not a stream, and does not say which it was.
async function retry() {
  answers = false;
  try {
    const answer = await fetch(`/api/state${location.search}`);
    if (answer.status === 401) {
      location.reload();
      return;
    }
    answers = answer.ok; // and if the stream is refused again, there are too many
  } catch {
    // Still away.
  }
  listen();
}

function opened() {
  return new URLSearchParams(location.search).has("topic");
}

function arrange() {
  if (opened() && !dialog.matches(":modal")) {
    dialog.removeAttribute("open"); // as it came without a script; close() would be taken for the reader's wish
    dialog.showModal();
  } else if (!opened() && dialog.open) {
    dialog.close();
  }
}

function go(url) {
  history.pushState(null, "", url);
  if (opened()) {
    dialog.scrollTop = 0;
  }
  arrange();
  listen();
}

function without(name) {
  const url = new URL(location.href);
  url.searchParams.delete(name);
  return url;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-view]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (link && plain) {
    event.preventDefault();
    go(link.href);
  } else if (event.target === dialog) {
    dialog.close(); // the backdrop
  }
});

dialog.addEventListener("close", () => {
  if (opened()) {
    go(without("topic"));
  }
});

window.addEventListener("popstate", () => {
  arrange();
  listen();
});

localise(document);
arrange();
listen();
