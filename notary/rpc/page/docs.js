"use strict";
// Adds a button that copies to each example. Without this script the page is
// complete: the examples can be marked and copied by hand.
for (const example of document.querySelectorAll(".example")) {
  if (!navigator.clipboard) break; // absent on plain http
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(example.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  example.append(button);
}
