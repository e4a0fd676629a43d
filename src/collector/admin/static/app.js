// Keeps the page live: while the tab is seen it is fetched anew, and what differs in the parts marked `data-live` is
// taken over in place, so that focus, selection and what is unfolded stay. Without this file everything works, still.
"use strict";

const EVERY = 2000, SLOW = 10000; // milliseconds; the second while the service does not answer
const here = new URL(location.href);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function localTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const second = "exact" in time.dataset ? { second: "2-digit" } : {};
    const hour = { hour: "2-digit", minute: "2-digit", ...second, timeZoneName: "short" };
    const day = at.toDateString() === today ? {} : { year: "numeric", month: "short", day: "numeric" };
    time.textContent = at.toLocaleString(undefined, { ...day, ...hour });
    time.title = time.dateTime;
  }
  for (const name of root.querySelectorAll(".zone")) name.textContent = zone;
}

function become(old, fresh) {
  for (const { name } of [...old.attributes])
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id && byId.get(wanted.id);
    if (known && known !== place) old.insertBefore(known, place);
    else if (!known && !(place && place.nodeName === wanted.nodeName && !place.id && !wanted.id)) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    const now = known || place;
    place = now.nextSibling;
    if (now.nodeType === Node.TEXT_NODE) {
      if (now.data !== wanted.data) now.data = wanted.data;
    } else if (now.nodeType === Node.ELEMENT_NODE) become(now, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

async function refresh() {
  const answer = await fetch(here, { headers: { Accept: "text/html", Live: "1" }, signal: AbortSignal.timeout(SLOW) });
  if (answer.redirected || answer.status === 404) return location.reload(); // to the login, or the batch is gone
  if (!answer.ok) throw new Error(answer.status);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  localTimes(fresh);
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(part.id);
    if (now) become(part, now);
  }
}

async function live() {
  clearTimeout(timer);
  if (busy) return;
  busy = true;
  let wait = EVERY;
  if (!document.hidden) {
    const away = document.getElementById("away");
    try {
      await refresh();
      away.hidden = true;
    } catch {
      away.hidden = false;
      wait = SLOW;
    }
  }
  busy = false;
  timer = setTimeout(live, wait);
}

async function send(what, name, source) {
  const query = new URLSearchParams({ source, name, hold: "true" });
  const answer = await fetch(`/batches?${query}`, { method: "POST", body: what, headers: { Accept: "application/json", "Content-Type": "application/octet-stream" } });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

async function upload(event) {
  event.preventDefault();
  const form = event.target, list = document.getElementById("results"), links = [];
  const wanted = [...form.file.files].map((file) => [file, file.name]);
  if (form.ids.value.trim()) wanted.push([form.ids.value, `${form.name.value || "pasted"}.txt`]);
  list.replaceChildren();
  const say = (text) => list.appendChild(Object.assign(document.createElement("li"), { textContent: text }));
  if (!wanted.length) return void say("Choose a file or paste IDs first.");
  const button = document.getElementById("read");
  button.disabled = true;
  for (const [what, name] of wanted) {
    const line = say(`${name}: is being read…`);
    try {
      const told = await send(what, name, form.source.value);
      const link = Object.assign(document.createElement("a"), { href: `/batch/${told.id}`, textContent: "look at the receipt and say yes or no" });
      line.replaceChildren(`${name}: `, link);
      links.push(link.href);
    } catch (error) {
      line.textContent = `${name} was not taken in: ${error.message}`;
    }
  }
  button.disabled = false;
  if (links.length === wanted.length) form.reset();
  if (wanted.length === 1 && links.length === 1) location.assign(links[0]);
}

// Files may be dropped anywhere on the page: a miss would open the file in place of the page.
function dropping(form) {
  const place = document.getElementById("drop");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      place.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") form.file.files = event.dataTransfer.files;
    });
}

let timer, busy = false;
localTimes(document);
const add = document.getElementById("add");
if (add) {
  add.file.multiple = true;
  add.addEventListener("submit", upload);
  dropping(add);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const asked of document.querySelectorAll(".ask[open]")) asked.open = false;
});
document.addEventListener("click", (event) => {
  for (const asked of document.querySelectorAll(".ask[open]")) if (!asked.contains(event.target)) asked.open = false;
});
if (document.querySelector("[data-live]")) {
  timer = setTimeout(live, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) live();
  });
}
