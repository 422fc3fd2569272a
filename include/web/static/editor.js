// The form of an export: keeps what is typed while a login is renewed, suggests the id, and finds what is wrong.

const form = document.getElementById("editor");
const STORE = "loyalty-form:";
const NEVER = new Set(["form_token", "do"]);
const LATIN = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d" };
const MOST = 500_000; // characters that the browser is asked to keep

if (form?.hasAttribute("data-keep")) keep(form);
follow();
lead();
window.addEventListener("load", catchUp);

/** Keep the form's values in this tab until they are saved; give them back after a login, or when the tab is reloaded. */
function keep(form) {
  const name = STORE + form.action;
  const own = () => form.elements.kept.value;
  const kept = read(name);
  const saved = document.cookie.match(/(?:^|; )loyalty_saved=([A-Za-z0-9_-]{16})/)?.[1];
  if (!kept || kept.saved === saved || form.hasAttribute("data-posted")) sessionStorage.removeItem(name);
  else if (kept.saved !== own()) bring(form, name, kept.values);
  let later;
  const write = () => {
    const values = [...new FormData(form)].filter(([key, value]) => !NEVER.has(key) && typeof value === "string");
    const text = JSON.stringify({ saved: own(), values });
    try {
      if (text.length < MOST) sessionStorage.setItem(name, text);
    } catch {
      // A browser that keeps nothing loses nothing that it had.
    }
  };
  const soon = () => {
    clearTimeout(later);
    later = setTimeout(write, 300);
  };
  form.addEventListener("input", soon);
  form.addEventListener("change", write); // at once: what it sends may find that the login is over
  document.addEventListener("htmx:afterSettle", (event) => {
    if (form.contains(event.target) && event.target.closest("section.card")) soon();
  });
  form.addEventListener("submit", () => {
    clearTimeout(later);
    write();
  });
  document.querySelector("[data-forget]")?.addEventListener("click", () => {
    clearTimeout(later);
    sessionStorage.removeItem(name);
  });
}

function read(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null;
  }
}

/** Show what was kept: the server draws the form for it, so that rows and kinds are there too. */
async function bring(form, name, values) {
  const body = new URLSearchParams(values);
  body.set("form_token", form.elements.form_token.value);
  body.set("kept", form.elements.kept.value);
  body.set("do", "show");
  const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const drawn = page.getElementById("editor");
  if (!drawn) return;
  form.replaceChildren(...drawn.childNodes);
  window.htmx?.process(form);
  const note = document.createElement("p");
  note.className = "note warn";
  note.role = "status";
  note.textContent = "What you had typed here before was kept, and is back. It is not saved yet. ";
  const drop = document.createElement("button");
  drop.type = "button";
  drop.className = "quiet";
  drop.textContent = "Begin anew";
  drop.addEventListener("click", () => {
    sessionStorage.removeItem(name);
    location.reload();
  });
  note.append(drop);
  document.querySelector(".editor, #editor").before(note);
}

/** An id follows the name while it is empty, or what was made of the name: here before, or when the page was drawn. */
function follow() {
  const id = () => document.querySelector("input[data-follows]");
  const suggest = (id, name) => {
    const before = id.dataset.made ?? idOf(name.defaultValue);
    id.dataset.made = idOf(name.value);
    if (!id.value || id.value === before) id.value = id.dataset.made;
  };
  document.addEventListener("input", (event) => {
    if (id() && event.target.id === id().dataset.follows) suggest(id(), event.target);
  });
  const name = document.getElementById(id()?.dataset.follows);
  if (name && name.value !== name.defaultValue) suggest(id(), name); // typed before the page listened
}

function idOf(name) {
  return name
    .toLowerCase()
    .replace(/[ßæœøłđ]/g, (letter) => LATIN[letter])
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 64)
    .replace(/-+$/, "");
}

/** Lead to a field from the summary of problems, out of what is folded; Enter in a text saves nothing by accident. */
function lead() {
  document.getElementById("summary")?.focus();
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#at-"]');
    const place = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!place) return;
    event.preventDefault();
    for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    place.scrollIntoView({ block: "center" });
    (place.matches("input, select, textarea") ? place : place.querySelector("input:not([type=hidden]), select, textarea"))?.focus();
  });
  form?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input:not([type=submit], [type=checkbox], [type=radio])")) event.preventDefault();
  });
}

/** A choice that was made before the page listened, or that the browser brought back, counts as made now. */
function catchUp() {
  for (const field of form?.querySelectorAll('[hx-trigger="change"]') ?? []) {
    if (changed(field)) window.htmx.trigger(field, "change");
  }
}

function changed(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
  const drawn = [...field.options].findIndex((option) => option.defaultSelected);
  return field.selectedIndex !== Math.max(drawn, 0);
}
