// Light, dark, or as the system has it. Runs before the page is painted, so it is no module.
(() => {
  const KEY = "taba.theme";
  const ORDER = ["system", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return kept !== null && ORDER.includes(kept) ? kept : "system";
    } catch {
      return "system"; // a browser that keeps nothing
    }
  };

  const apply = () => {
    const choice = chosen();
    const dark = choice === "dark" || (choice === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.documentElement.dataset.choice = choice;
    document.dispatchEvent(new Event("taba-theme"));
  };

  window.tabaTheme = {
    chosen,
    next() {
      const choice = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        document.documentElement.dataset.theme = choice;
      }
      apply();
    },
  };
  system.addEventListener("change", apply);
  apply();
})();
