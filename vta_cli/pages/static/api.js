// Requests, the shared state and its listeners, and a way to build elements.

export const shared = { state: null };
const listeners = new Set();

export function onState(listener) {
  listeners.add(listener);
  if (shared.state) listener(shared.state);
  return () => listeners.delete(listener);
}

export function take(state) {
  if (!state || (shared.state && state.version < shared.state.version)) return; // an answer overtaken
  const before = shared.state;
  shared.state = state;
  for (const listener of listeners) listener(state, before);
}

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const error = new Error(body.message || `The server answered ${response.status}.`);
  error.slug = body.error;
  error.status = response.status;
  throw error;
}

export async function get(name, query = {}) {
  const words = new URLSearchParams(query).toString();
  return answer(await fetch(`/api/${name}${words ? `?${words}` : ""}`));
}

// Judgements go out one after the other, in the order in which they were made.
let last = Promise.resolve();

// Each page takes back what it did itself; a reload is still the same page.
const page = sessionStorage.getItem("vta-page") ?? crypto.randomUUID();
sessionStorage.setItem("vta-page", page);

const UNORDERED = new Set(["next", "settings", "retrain"]);

async function send(name, body) {
  const found = await answer(await fetch(`/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ page, ...body }),
  }));
  take(found.state);
  return found;
}

export function post(name, body = {}) {
  if (UNORDERED.has(name)) return send(name, body);
  const mine = last.then(() => send(name, body));
  last = mine.catch(() => {});
  return mine;
}

export async function drop(file) {
  return answer(await fetch("/api/drop", {
    method: "POST",
    headers: { "Content-Type": file.type.startsWith("image/") ? file.type : "application/octet-stream" },
    body: file,
  }));
}

let gone = false;

async function poll() {
  let wait = 3000;
  try {
    const state = await get("state", { page });
    if (gone) toast("The server is back.");
    gone = false;
    take(state);
    const busy = state.training || !["done", "failed", "stopped"].includes(state.loading.step);
    wait = busy ? 350 : 2500;
  } catch (error) {
    if (!gone) {
      toast(error.status === 403
        ? "vta label was started again: open the address that it printed."
        : "The server does not answer. What you judged so far is saved.", 0);
    }
    gone = true;
  }
  setTimeout(poll, wait);
}

export function start() {
  poll();
}

export function picture(key, size = "screen") {
  return `/image/${key}/${size}`;
}

let timer = 0;

export function toast(text, ms = 3500) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.classList.toggle("on", Boolean(text));
  clearTimeout(timer);
  if (ms) timer = setTimeout(() => box.classList.remove("on"), ms);
}

// el("button", {class: "main", onclick: f}, "text", child): text is never read as markup.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const percent = (value, digits = 0) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`);
export const three = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
export const whole = (value) => value.toLocaleString("en");
export const counted = (n, one, several = `${one}s`) => `${whole(n)} ${n === 1 ? one : several}`;
