// Airflow's light or dark, before anything is drawn; and again whenever it is changed there.
(() => {
  const follow = () => {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  try {
    follow();
    addEventListener("storage", follow);
  } catch {
    // A browser that keeps nothing shows what its system prefers.
  }
})();
