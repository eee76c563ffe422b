// What cannot wait for the modules: the colours, before anything is painted, and the list of tabs, which the first page
// shows and which can be on its way while they are fetched. So this is no module.
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

(() => {
  if (!/^(#\/?(\?.*)?)?$/.test(location.hash)) return; // another page than the first
  const address = "v1/tabs?match=*&brief=true&limit=20000";
  const response = fetch(address, { headers: { Accept: "application/json" } });
  response.catch(() => {}); // whoever takes it is told
  window.tabaEarly = { address, response };
})();
