// The page: what its buttons do and what it shows.

import { Recording, Sound } from "./microphone.js";
import { showModel, makeSubtitles, transcribe, useKey } from "./requests.js";
import { allowChoice, markLanguage } from "./spoken.js";
import { chooseLanguage, explain, say, showText } from "./texts.js";
import { appendWords, describeWords, makeOneTabStop, markPlayed } from "./words.js";

const LANGUAGE_KEY = "hindi-asr-language";
const $ = (id) => document.getElementById(id);
let failure = null; // that is shown: the name of a text, or the server's {code, message}
let retry = null; // what waits for a key

function showError(shown) {
  failure = shown;
  $("error").textContent = !shown ? "" : typeof shown === "string" ? say(shown) : explain(shown);
  $("error").hidden = !shown;
}

function askForKey(then) {
  retry = then;
  $("key-form").hidden = false;
  $("key").focus();
  showError("need_key");
}

function showFailure(reason, then) {
  if (reason.status === 401) askForKey(then);
  else showError(reason.message ? reason : "lost");
}

// ---- texts that can be copied and saved: of the microphone ("live") and of a file ----

const results = {
  live: { texts: [], words: [], stem: "speech" },
  file: { texts: [], words: [], stem: "transcript" },
};

function showActions(name) {
  const { texts, words } = results[name];
  for (const button of document.querySelectorAll(`[data-of="${name}"]`)) {
    button.disabled = ["srt", "vtt"].includes(button.dataset.save) ? !words.length : !texts.length;
  }
}

function copySelected(text) {
  const [field, focused] = [document.createElement("textarea"), document.activeElement];
  field.className = "unseen";
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

async function copy(button) {
  const text = results[button.dataset.of].texts.join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page without https has no clipboard
    if (!copySelected(text)) return;
  }
  showText(button, "copied");
  setTimeout(() => showText(button, "copy"), 1500);
}

async function save(button) {
  const { texts, words, stem } = results[button.dataset.of];
  const format = button.dataset.save;
  try {
    const text = format === "txt" ? `${texts.join("\n")}\n` : await makeSubtitles(words, format);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = `${stem}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } catch (reason) {
    showFailure(reason, () => save(button));
  }
}

// ---- the microphone ----

const voice = new Audio(); // plays what was said
const sound = new Sound();
let recording = null;

function showRecording() {
  showText($("record"), recording ? "stop" : "start");
  $("record").classList.toggle("recording", Boolean(recording));
  allowChoice(!recording);
}

function startRecording() {
  showError(null);
  const own = new Recording(sound, {
    level: (level) => { $("level").style.transform = `scaleX(${Math.min(1, 3 * level)})`; },
    state: (state) => showText($("live-status"), state),
    message: (message) => hear(own, message),
    end: (reason) => endRecording(own, reason),
  });
  recording = own;
  markLanguage($("partial"), own.language);
  showRecording();
  own.start();
}

function hear(own, message) {
  if (message.type === "partial") $("partial").textContent = message.text;
  if (message.type === "final" || message.type === "silence") $("partial").textContent = "";
  if (message.type === "final" && message.text) addUtterance(own, message);
  if (message.type === "error") showError(message.error);
}

function addUtterance(own, { text, words, end, lang }) {
  const moved = (words ?? []).map((word) => ({ ...word, start: own.beginS + word.start, end: own.beginS + word.end }));
  results.live.texts.push(text);
  results.live.words.push(...moved);
  const line = document.createElement("p");
  if (words) appendWords(line, moved, (word) => playSpoken(word.start, own.beginS + end));
  else line.textContent = text;
  for (const element of [line, $("announced")]) markLanguage(element, lang);
  $("settled").append(line);
  $("announced").textContent = text;
  $("live").scrollTop = $("live").scrollHeight;
  showActions("live");
}

function playSpoken(start, end) {
  const stretch = sound.cut(start, end);
  if (!stretch) return;
  URL.revokeObjectURL(voice.src);
  voice.src = URL.createObjectURL(stretch);
  voice.onplay = voice.ontimeupdate = () => markPlayed($("settled"), start + voice.currentTime);
  voice.onended = voice.onpause = () => markPlayed($("settled"), null);
  voice.play();
}

async function endRecording(own, reason) {
  if (recording === own) recording = null;
  showText($("live-status"), null);
  $("partial").textContent = "";
  showRecording();
  if (reason === "no_microphone" || reason === "lost") showError(reason);
  if (reason === "refused" && own.state !== "finishing") { // a browser does not tell a page why
    try {
      await showModel();
      showError("lost");
    } catch (why) {
      showFailure(why, startRecording);
    }
  }
}

function clearSpoken() {
  voice.pause();
  sound.clear();
  $("settled").replaceChildren();
  $("announced").textContent = "";
  Object.assign(results.live, { texts: [], words: [] });
  showActions("live");
}

// ---- a file ----

let upload = null; // of the file that is transcribed

function showProgress(share) {
  $("progress-row").hidden = share === null;
  if (share === null || share === 1) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

async function transcribeFile(file) {
  upload?.abort();
  const own = (upload = new AbortController());
  showError(null);
  $("player").pause();
  $("words").textContent = "";
  $("file-result").hidden = true;
  showProgress(0);
  showText($("status"), "sending");
  const onSent = (share) => {
    if (upload !== own) return;
    showProgress(share);
    if (share === 1) showText($("status"), "working");
  };
  const onTextSoFar = (text) => {
    if (upload !== own) return;
    $("words").textContent = text;
    $("file-result").hidden = $("player").hidden = false;
  };
  try {
    openPlayer(file);
    const result = await transcribe(file, own.signal, onSent, onTextSoFar);
    if (upload === own) showTranscript(file, result);
  } catch (reason) {
    if (upload !== own) return;
    $("file-result").hidden = true;
    showText($("status"), reason.canceled ? "canceled" : null);
    if (!reason.canceled) showFailure(reason, () => transcribeFile(file));
  } finally {
    if (upload === own) {
      upload = null;
      showProgress(null);
    }
  }
}

function showTranscript(file, { text, words = [], language }) {
  Object.assign(results.file, { texts: text ? [text] : [], words, stem: file.name.replace(/\.[^.]*$/, "") || "transcript" });
  showText($("status"), text ? "done" : "nothing");
  $("words").textContent = words.length ? "" : text;
  markLanguage($("words"), language);
  appendWords($("words"), words, (word) => {
    $("player").currentTime = word.start;
    $("player").play().catch(() => {}); // the player says so itself
  });
  $("file-result").hidden = false;
  showActions("file");
}

function openPlayer(file) {
  results.file = { texts: [], words: [], stem: "transcript" };
  showActions("file");
  showText($("player-status"), null);
  URL.revokeObjectURL($("player").src);
  $("player").src = URL.createObjectURL(file);
}

// ---- what the buttons do ----

function changeLanguage(name) {
  chooseLanguage(name);
  describeWords();
  showError(failure);
}

function remember(name) {
  try {
    localStorage.setItem(LANGUAGE_KEY, name);
  } catch { /* the browser keeps nothing for this page */ }
}

function recall() {
  try {
    return localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null;
  }
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.onclick = () => {
    changeLanguage(button.dataset.language);
    remember(button.dataset.language);
  };
}
for (const button of document.querySelectorAll("[data-save]")) button.onclick = () => save(button);
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy(button);
for (const name of ["live", "file"]) showActions(name);
for (const list of [$("settled"), $("words")]) makeOneTabStop(list);
$("clear-live").onclick = clearSpoken;
$("record").onclick = () => (recording ? recording.stop() : startRecording());
$("cancel").onclick = () => {
  upload?.abort();
  $("file").focus();
};
$("file").onchange = ({ target }) => {
  const file = target.files[0];
  target.value = ""; // the same file may be chosen again
  if (file) transcribeFile(file);
};
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  useKey($("key").value.trim());
  $("key-form").hidden = true;
  showError(null);
  const then = retry;
  retry = null;
  then?.();
};
for (const kind of ["play", "timeupdate", "pause", "ended"]) {
  $("player").addEventListener(kind, () => markPlayed($("words"), $("player").paused ? null : $("player").currentTime));
}
$("player").onerror = () => showText($("player-status"), "unplayable");
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) transcribeFile(event.dataTransfer.files[0]);
  });
}
changeLanguage(recall() ?? ((navigator.language || "hi").startsWith("hi") ? "hi" : "en"));
