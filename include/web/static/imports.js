// Uploading: the chosen file is named, its progress is shown, and what is wrong is told without losing the form.

const size = (bytes) =>
  bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const form = document.getElementById("upload");
if (form) {
  const zone = form.querySelector("[data-drop]");
  const file = zone.querySelector("input[type=file]");
  const chosen = zone.querySelector("[data-chosen]");
  const bar = form.querySelector("progress");
  const sent = form.querySelector("[data-sent]");
  const button = form.querySelector(".send button");
  const problem = document.getElementById("problem");

  file.addEventListener("change", () => {
    chosen.textContent = file.files.length ? `${file.files[0].name}, ${size(file.files[0].size)}` : "";
  });
  for (const event of ["dragenter", "dragover"]) zone.addEventListener(event, () => zone.classList.add("over"));
  for (const event of ["dragleave", "drop"]) zone.addEventListener(event, () => zone.classList.remove("over"));

  const over = (words) => {
    bar.hidden = true;
    sent.textContent = words;
    button.disabled = false;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.replaceChildren();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("HX-Current-URL", location.href);
    request.upload.addEventListener("progress", (told) => {
      bar.hidden = false;
      bar.value = told.lengthComputable ? told.loaded / told.total : 0;
      sent.textContent = told.loaded < told.total ? `${size(told.loaded)} of ${size(told.total)}` : "The file is checked";
    });
    request.addEventListener("load", () => {
      const next = request.getResponseHeader("HX-Redirect");
      if (next) {
        location.assign(next);
        return;
      }
      const told = new DOMParser().parseFromString(request.responseText, "text/html").body;
      problem.replaceChildren(...told.childNodes);
      for (const asked of form.querySelectorAll("[data-asked]")) {
        if ((request.getResponseHeader("Loyalty-Problems") ?? "").split(" ").includes(asked.dataset.asked)) asked.hidden = false;
      }
      over("");
      problem.scrollIntoView({ block: "nearest" });
    });
    request.addEventListener("error", () => over("The connection was lost. Nothing was imported; try again."));
    button.disabled = true;
    sent.textContent = "";
    request.send(new FormData(form));
  });
}
