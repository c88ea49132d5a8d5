"use strict";
const find = document.getElementById("find");
const found = document.getElementById("found");
const cards = [...document.querySelectorAll("[data-find]")];
const links = new Map([...document.querySelectorAll("nav li li a")].map((link) => [link.hash.slice(1), link.parentElement]));

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

function narrow() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const card of cards) {
    const text = card.dataset.find.toLowerCase();
    const hit = words.every((word) => text.includes(word));
    card.hidden = !hit;
    const link = links.get(card.id);
    if (link) link.hidden = !hit;
    count += hit ? 1 : 0;
  }
  found.textContent = words.length ? `${count} of ${cards.length}` : "";
}

async function copy(event) {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const code of document.querySelectorAll("pre code")) {
  code.textContent = code.textContent.replaceAll("http://127.0.0.1:8000", location.origin);
}
if (navigator.clipboard) {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", copy);
  }
}
document.querySelector(".filter").hidden = false;
find.addEventListener("input", narrow);
addEventListener("hashchange", openNamed);
if (matchMedia("(max-width: 63.99rem)").matches) document.querySelector(".menu").open = false;
openNamed();
