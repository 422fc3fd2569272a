// The picker of columns: search, order by dragging, by buttons and by keys. The names of its fields say the order.

const SCROLL_EDGE = 60; // pixels from the edge of the list, or of the window, where dragging scrolls

function start(picker) {
  if (picker.dataset.started !== undefined) return;
  picker.dataset.started = "";
  const list = picker.querySelector("[data-list]");
  const told = picker.querySelector("[data-told]");
  const property = picker.querySelector("[data-property]");
  const rows = () => [...list.querySelectorAll("[data-row]")];
  const box = (row) => row.querySelector("input[type=checkbox]");
  const chosen = () => rows().filter((row) => box(row).checked);
  rows().forEach((row, index) => { row.dataset.first = index; });

  function number() {
    const there = rows();
    there.forEach((row, index) => {
      for (const field of row.querySelectorAll("input")) {
        field.name = field.name.replace(/^fields\.\d+\./, `fields.${index}.`);
      }
    });
    if (property) property.name = `fields.${there.length}.field`;
    const last = chosen().length - 1;
    chosen().forEach((row, index) => {
      row.querySelector("[data-move='-1']").disabled = index === 0;
      row.querySelector("[data-move='1']").disabled = index === last;
    });
  }

  function changed() {
    number();
    list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function say(row) {
    const order = chosen();
    told.textContent = `${row.dataset.name}: column ${order.indexOf(row) + 1} of ${order.length}`;
  }

  /** Show a row as chosen or not, and put it where it belongs: behind those that are chosen, or where it came from. */
  function place(row) {
    const ticked = box(row).checked;
    row.classList.toggle("ticked", ticked);
    row.querySelector(".pick-header").disabled = !ticked;
    for (const part of row.querySelectorAll("[data-move], [data-grip]")) part.hidden = !ticked;
    const others = rows().filter((each) => each !== row);
    const before = ticked
      ? others.find((each) => !box(each).checked)
      : others.find((each) => !box(each).checked && Number(each.dataset.first) > Number(row.dataset.first));
    list.insertBefore(row, before ?? null);
  }

  function move(row, by) {
    const order = chosen();
    const at = order.indexOf(row) + by;
    if (!box(row).checked || at < 0 || at >= order.length) return;
    const focused = document.activeElement;
    if (by < 0) order[at].before(row);
    else order[at].after(row);
    changed();
    if (row.contains(focused)) (focused.disabled ? box(row) : focused).focus();
    say(row);
  }

  list.addEventListener("change", (event) => {
    if (event.target.type !== "checkbox") return;
    const row = event.target.closest("[data-row]");
    place(row);
    number();
    event.target.focus({ preventScroll: true });
    if (event.target.checked) say(row);
    else told.textContent = `${row.dataset.name} is not in the file`;
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button) return;
    event.preventDefault();
    move(button.closest("[data-row]"), Number(button.dataset.move));
  });
  list.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !by) return;
    event.preventDefault();
    move(event.target.closest("[data-row]"), by);
  });

  list.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button > 0) return;
    event.preventDefault();
    const row = grip.closest("[data-row]");
    grip.setPointerCapture(event.pointerId);
    row.classList.add("dragged");
    const drag = (moved) => {
      const passed = (each) => {
        const { top, height } = each.getBoundingClientRect();
        return moved.clientY > top + height / 2;
      };
      // The others move around it: a row that is itself moved would lose the pointer.
      const [above, below] = [row.previousElementSibling, row.nextElementSibling];
      if (above && box(above).checked && !passed(above)) row.after(above);
      else if (below && box(below).checked && passed(below)) row.before(below);
      const { top, bottom } = list.getBoundingClientRect();
      const by = moved.clientY < Math.max(top, 0) + SCROLL_EDGE ? -10 : moved.clientY > Math.min(bottom, innerHeight) - SCROLL_EDGE ? 10 : 0;
      list.scrollBy(0, by);
    };
    const drop = () => {
      row.classList.remove("dragged");
      grip.removeEventListener("pointermove", drag);
      changed();
      say(row);
    };
    grip.addEventListener("pointermove", drag);
    grip.addEventListener("lostpointercapture", drop, { once: true });
  });

  const search = picker.querySelector("[data-search]");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows()) {
      const said = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => said.includes(word));
    }
    picker.querySelector("[data-nothing]").hidden = rows().some((row) => !row.hidden);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would send the form
  });
  search.addEventListener("change", (event) => event.stopPropagation());

  /** Tick or untick all rows that the search shows. */
  function tick(ticked) {
    for (const row of rows().filter((each) => !each.hidden && box(each).checked !== ticked)) {
      box(row).checked = ticked;
      place(row);
    }
    changed();
    told.textContent = `${chosen().length} columns are chosen`;
  }
  picker.querySelector("[data-all]").addEventListener("click", () => tick(true));
  picker.querySelector("[data-none]").addEventListener("click", () => tick(false));

  if (property) {
    const add = picker.querySelector("[data-add]");
    add.hidden = false;
    const take = () => {
      const name = property.value.trim();
      if (!name) return;
      let row = rows().find((each) => each.dataset.name === name);
      if (!row) {
        row = rows()[0].cloneNode(true);
        named(row, name);
        list.append(row);
        row.dataset.first = rows().length;
      }
      box(row).checked = true;
      property.value = "";
      place(row);
      changed();
      say(row);
    };
    add.addEventListener("click", take);
    property.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      take();
    });
  }

  for (const part of picker.querySelectorAll("[data-tools], [data-keys]")) part.hidden = false;
  for (const row of chosen()) row.querySelector("[data-grip]").hidden = false;
  number();
}

/** Make a copied row that of a property. */
function named(row, name) {
  row.dataset.name = name;
  row.hidden = false;
  row.querySelector("input[type=checkbox]").value = name;
  row.querySelector(".pick-name .mono").textContent = name;
  const header = row.querySelector(".pick-header");
  header.value = "";
  header.placeholder = name;
  header.setAttribute("aria-label", `Header of ${name} in the file`);
  row.querySelector("[data-move='-1']").setAttribute("aria-label", `Move ${name} up`);
  row.querySelector("[data-move='1']").setAttribute("aria-label", `Move ${name} down`);
  row.querySelector(".pick-kind").textContent = "property";
  row.querySelector(".pick-meaning").textContent = `A property of ${name.split(".")[0]}.`;
  for (const problem of row.querySelectorAll(".problem")) problem.remove();
}

const prepare = (part) => part.querySelectorAll("[data-picker]").forEach(start);
document.addEventListener("htmx:load", (event) => prepare(event.target.parentNode ?? event.target));
prepare(document);
