// Inside Airflow's frame: its address follows ours, and links to its own pages open in it, not in the frame.

const framed = parent !== window;

/** Airflow looks at our address when a page has loaded; what a script of ours changes it has to be told. */
function follow() {
  const [frame] = parent.location.pathname.match(/^.*\/plugin\/loyalty(?=\/|$)/) ?? [];
  if (frame) parent.history.replaceState(parent.history.state, "", frame + location.pathname + location.search);
}

/** A page in a frame may not send the window elsewhere; Airflow's router listens to the history. */
function open(event) {
  const link = event.target.closest("a[data-airflow]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  parent.history.pushState(null, "", link.href);
  parent.dispatchEvent(new PopStateEvent("popstate"));
}

if (framed) {
  document.addEventListener("htmx:pushedIntoHistory", follow);
  document.addEventListener("htmx:replacedInHistory", follow);
  document.addEventListener("click", open);
}
