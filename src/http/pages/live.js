// Follows a run on its page. Without this script the page says the same at the next load.
"use strict";
const live = document.getElementById("live");
if (live && live.dataset.over === "no") {
  const source = new EventSource(live.dataset.stream);
  source.addEventListener("run", (event) => {
    const now = JSON.parse(event.data);
    if (now.over) source.close();
    // Another status has other buttons, so the whole page is made anew, unless somebody is typing.
    const typing = document.activeElement && document.activeElement.matches("input");
    if (now.status !== live.dataset.status && !typing) {
      source.close();
      location.reload();
      return;
    }
    // Made by our own templates, which escape every text from outside.
    live.innerHTML = now.html;
    // Whoever hears the page is told at each tenth, not each second.
    if (String(now.step) !== live.dataset.step) {
      live.dataset.step = String(now.step);
      document.getElementById("told").textContent = now.says;
    }
  });
}
