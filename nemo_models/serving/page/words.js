// Words as buttons that play. A list of words is one stop of the Tab key; arrow keys go from word to word.

import { say } from "./texts.js";

const UNCERTAIN = 0.6; // words with less confidence are marked

/** Say of each word when it was spoken, and whether it is uncertain; in the language of the page. */
export function describeWords() {
  for (const button of document.querySelectorAll(".word")) {
    const hint = button.classList.contains("uncertain") ? `, ${say("uncertain")}` : "";
    button.title = `${Number(button.dataset.start).toFixed(2)} ${say("seconds")}${hint}`;
  }
}

/** Append words ({word, start, end, confidence}) to an element; `play` is called with the word that was chosen. */
export function appendWords(element, words, play) {
  for (const word of words) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = word.confidence < UNCERTAIN ? "word uncertain" : "word";
    button.textContent = word.word;
    button.dataset.start = word.start;
    button.dataset.end = word.end;
    button.tabIndex = -1;
    button.onclick = () => play(word);
    element.append(button, " ");
  }
  describeWords();
}

/** Make a list of words, which may grow, one stop of the Tab key. */
export function makeOneTabStop(list) {
  const words = () => [...list.querySelectorAll(".word")];
  const choose = (chosen) => {
    for (const word of words()) word.tabIndex = word === chosen ? 0 : -1;
  };
  new MutationObserver(() => {
    if (!list.querySelector('.word[tabindex="0"]')) choose(words()[0]);
  }).observe(list, { childList: true, subtree: true });
  list.addEventListener("focusin", ({ target }) => target.matches(".word") && choose(target));
  list.addEventListener("keydown", (event) => {
    const all = words();
    const at = all.indexOf(document.activeElement);
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    all[next]?.focus();
  });
}

/** Mark the words of a list that are spoken at a time, in seconds; `null`: none. */
export function markPlayed(list, now) {
  for (const word of list.querySelectorAll(".word")) {
    word.classList.toggle("playing", now !== null && word.dataset.start <= now && now < word.dataset.end);
  }
}
