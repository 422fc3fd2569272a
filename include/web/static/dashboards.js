// Charts: the row of the table that the pointer, or the arrow keys, are at. What is shown is what the table says.

document.documentElement.classList.add("scripted");
const SVG = "http://www.w3.org/2000/svg";

/** Where rows stand in a picture: along it, or one below the other in bars. */
function slotsOf(svg) {
  const { left, step, count, top, bottom, way } = svg.dataset;
  if (count === undefined) return null;
  return {
    left: Number(left), step: Number(step), count: Number(count), top: Number(top), bottom: Number(bottom),
    box: svg.viewBox.baseVal, down: way === "down", points: way === "along",
  };
}

function lookInto(place) {
  const svg = place.querySelector("svg");
  const table = place.closest("figure").querySelector("table");
  const slots = svg && slotsOf(svg);
  if (!slots || !table) return;
  const heads = [...table.tHead.rows[0].cells].map((cell) => ({
    name: cell.firstChild.textContent.trim(),
    unit: cell.querySelector(".zone")?.textContent ?? "",
  }));
  const rows = table.tBodies[0].rows;
  const mark = document.createElementNS(SVG, "rect");
  mark.setAttribute("class", "here");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  place.append(tip);
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `${svg.querySelector("title").textContent}: arrow keys read one row after another`);
  let at = -1;

  function show(index) {
    if (index < 0 || index >= slots.count || index >= rows.length) return hide();
    at = index;
    const half = slots.points ? slots.step / 2 : 0;
    const along = (slots.down ? slots.top : slots.left - half) + index * slots.step;
    const across = slots.down
      ? { x: 0, y: along, width: slots.box.width, height: slots.step }
      : { x: along, y: slots.top, width: Math.max(slots.step, 1.5), height: slots.bottom - slots.top };
    for (const [name, value] of Object.entries(across)) mark.setAttribute(name, value);
    svg.append(mark);
    const [first, ...others] = [...rows[index].cells].map((cell) => cell.textContent);
    const title = document.createElement("b");
    title.textContent = first;
    const lines = others.map((text, place) => {
      const line = document.createElement("span");
      const { name, unit } = heads[place + 1];
      line.textContent = `${name}: ${text} ${unit}`;
      return line;
    });
    tip.replaceChildren(title, ...lines);
    tip.hidden = false;
    const scale = svg.clientWidth / slots.box.width;
    const middle = (slots.down ? slots.box.width / 2 : along + slots.step / 2) * scale;
    const left = Math.min(Math.max(0, middle + 12), place.clientWidth - tip.offsetWidth);
    const over = !slots.down && middle + 12 + tip.offsetWidth > place.clientWidth;
    tip.style.left = `${over ? Math.max(0, middle - 12 - tip.offsetWidth) : left}px`;
    tip.style.top = `${slots.down ? (along + slots.step) * scale + 4 : slots.top * scale}px`;
  }
  function hide() {
    at = -1;
    mark.remove();
    tip.hidden = true;
  }
  place.addEventListener("pointermove", (event) => {
    const edge = svg.getBoundingClientRect();
    const scale = slots.box.width / edge.width;
    const way = slots.down
      ? (event.clientY - edge.top) * scale - slots.top
      : (event.clientX - edge.left) * scale - slots.left + (slots.points ? slots.step / 2 : 0);
    show(Math.floor(way / slots.step));
  });
  place.addEventListener("pointerleave", hide);
  place.addEventListener("blur", hide);
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    const last = Math.min(slots.count, rows.length) - 1;
    show(Math.min(Math.max(at + step, 0), last));
  });
}

for (const place of document.querySelectorAll("[data-chart]")) lookInto(place);
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
const isDark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-themed]");
  if (!link) return;
  const address = new URL(link.href);
  address.searchParams.set("theme", isDark() ? "dark" : "light");
  link.href = address.href;
});
