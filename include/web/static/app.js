// What every page does: instants in the viewer's zone, dialogs, and buttons that copy.

const viewer = Intl.DateTimeFormat().resolvedOptions().timeZone;
const day = (moment, zone) =>
  new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short", day: "numeric", month: "short", year: "numeric" })
    .format(moment).replace(",", "");
const hour = (moment) => new Intl.DateTimeFormat("en-GB", { timeStyle: "short" }).format(moment);
const offset = (moment, zone) =>
  new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset", year: "numeric" }).format(moment);

/** Add the viewer's own time to an instant that is shown in another zone; the day where it is another one there. */
function own(time) {
  if (time.dataset.own !== undefined) return;
  time.dataset.own = "";
  const moment = new Date(time.dateTime);
  if (!time.dataset.zone || offset(moment, time.dataset.zone) === offset(moment, viewer)) return;
  const text = document.createElement("span");
  text.className = "own";
  const same = day(moment, time.dataset.zone) === day(moment, viewer);
  text.textContent = `${same ? "" : `${day(moment, viewer)}, `}${hour(moment)} your time`;
  time.append(" ", text);
}

function prepare(part) {
  for (const time of part.querySelectorAll("time[data-zone]")) own(time);
  for (const field of part.querySelectorAll("input[data-viewer-zone]")) field.value = viewer;
  for (const place of part.querySelectorAll("[data-viewer-zone-name]")) place.textContent = viewer;
}

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog")?.close();
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    const source = document.getElementById(copier.dataset.copy);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    copier.textContent = "Copied";
  }
});
// A second click while the first is on its way asks for nothing; a page that is shown again is as new.
const sent = new WeakMap();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (event.timeStamp - (sent.get(form) ?? -Infinity) < 2000) event.preventDefault();
  else if (!event.defaultPrevented) sent.set(form, event.timeStamp);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) sent.delete(form);
});
document.addEventListener("htmx:load", (event) => prepare(event.target));
prepare(document);

// On a phone the navigation is wider than the page, and grows when the count of what needs attention is there.
const here = document.querySelector(".top [aria-current]");
const come = () => here?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelector(".top .count")?.addEventListener("htmx:afterSettle", come);
come();
