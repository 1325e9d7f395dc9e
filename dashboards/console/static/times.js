// Shows moments in the reader's zone; the title of each keeps UTC.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const year = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

export function local(moment, now = new Date()) {
  if (moment.toDateString() === now.toDateString()) {
    return clock.format(moment);
  }
  return (moment.getFullYear() === now.getFullYear() ? day : year).format(moment);
}

export function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    element.textContent = local(new Date(element.dateTime));
  }
}
