// Names this tab, and comes back to its console when the socket drops: the server keeps it for a minute.
(() => {
  const fresh = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const tab = sessionStorage.getItem("tab") || fresh();
  // Kept only while the page is away, so that a copy of this tab gets a console of its own.
  sessionStorage.removeItem("tab");
  let ended = false;
  addEventListener("pagehide", () => ended || sessionStorage.setItem("tab", tab));
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  document.getElementById("terminal").dataset.sessionWebsocketUrl = `${scheme}//${location.host}/ws/${tab}`;

  const words = document.getElementById("closed-words");
  let tries = 0;
  const again = async () => {
    let answer = null;
    try {
      answer = await fetch(`/tabs/${tab}`, { cache: "no-store" });
    } catch {
      // The server cannot be reached now.
    }
    if (answer && answer.ok) {
      location.reload();
    } else if ((answer && answer.status === 404) || tries++ >= 60) {
      ended = true;
      words.textContent = "The console has ended.";
    } else {
      setTimeout(again, 1000);
    }
  };
  new MutationObserver(() => {
    if (document.body.classList.contains("-closed")) {
      setTimeout(again, 300);
    }
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
})();
