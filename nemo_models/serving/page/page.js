"use strict";

const TEXTS = {
  hi: {
    title: "हिन्दी वाक् पहचान", speak: "बोलें", start: "माइक्रोफ़ोन चालू करें", stop: "रोकें", copy: "कॉपी करें", copied: "कॉपी हो गया",
    save_txt: "TXT", file: "फ़ाइल", drop: "रिकॉर्डिंग यहाँ छोड़ें या चुनें", key: "API कुंजी", use_key: "लागू करें",
    sending: "फ़ाइल भेजी जा रही है…", working: "पहचान हो रही है…", done: "तैयार", nothing: "कोई शब्द नहीं मिला",
    words_note: "शब्द पर क्लिक करने से वहीं से ध्वनि चलती है। लहरदार रेखा वाले शब्द अनिश्चित हैं।",
    no_microphone: "माइक्रोफ़ोन नहीं मिला। ब्राउज़र इसे केवल https या localhost पर देता है; अनुमति भी जाँचें।",
    lost: "सर्वर से संपर्क टूट गया। फिर से कोशिश करें।", uncertain: "अनिश्चित", need_key: "सर्वर API कुंजी माँगता है।",
  },
  en: {
    title: "Hindi speech recognition", speak: "Speak", start: "Start the microphone", stop: "Stop", copy: "Copy", copied: "Copied",
    save_txt: "TXT", file: "File", drop: "Drop a recording here, or choose one", key: "API key", use_key: "Use it",
    sending: "Sending the file…", working: "Recognising…", done: "Done", nothing: "No word was found",
    words_note: "Click a word to play from there. Words with a wavy line are uncertain.",
    no_microphone: "No microphone. Browsers give it only to https or localhost; check the permission too.",
    lost: "The connection to the server is lost. Try again.", uncertain: "uncertain", need_key: "The server asks for an API key.",
  },
};
const UNCERTAIN = 0.6; // words with less confidence are marked
const $ = (id) => document.getElementById(id);
let language = "hi";
let key = "";
let stream = null; // the microphone's, while it runs
let transcript = null; // of the file: {file, text}
let refused = null; // a file that waits for a key

const say = (name) => TEXTS[language][name];

function chooseLanguage(name) {
  language = name;
  document.documentElement.lang = name;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === name));
  }
  showRecording();
}

function showRecording() {
  $("record").textContent = say(stream ? "stop" : "start");
  $("record").setAttribute("aria-pressed", String(Boolean(stream)));
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

function showStatus(name) {
  if (name) $("status").dataset.text = name;
  else delete $("status").dataset.text;
  $("status").textContent = name ? say(name) : "";
}

function askForKey() {
  $("key-form").hidden = false;
  $("key").focus();
  showError(say("need_key"));
}

function encodeKey() {
  return btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function startRecording() {
  showError("");
  let microphone;
  try {
    microphone = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch {
    showError(say("no_microphone"));
    return;
  }
  let context = new AudioContext();
  if (context.sampleRate > 48000) {
    await context.close();
    context = new AudioContext({ sampleRate: 48000 });
  }
  await context.audioWorklet.addModule("page/capture.js");
  const address = new URL("v1/stream", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, key ? ["hindi-asr", `key.${encodeKey()}`] : ["hindi-asr"]);
  socket.binaryType = "arraybuffer";
  const node = new AudioWorkletNode(context, "capture");
  const own = { microphone, context, socket, opened: false, ended: false };
  stream = own;
  node.port.onmessage = ({ data }) => {
    if (own.opened && socket.readyState === WebSocket.OPEN && !own.ended) socket.send(data.buffer);
  };
  socket.onopen = () => socket.send(JSON.stringify({ type: "start", sample_rate: context.sampleRate, encoding: "float32" }));
  socket.onmessage = ({ data }) => hear(own, JSON.parse(data));
  socket.onclose = () => {
    if (!own.ended && !own.opened) askForKey();
    else if (!own.ended) showError(say("lost"));
    stopRecording(own);
  };
  context.createMediaStreamSource(microphone).connect(node);
  showRecording();
}

function hear(own, message) {
  if (message.type === "ready") own.opened = true;
  if (message.type === "partial") $("partial").textContent = message.text;
  if (message.type === "final") {
    $("partial").textContent = "";
    $("settled").textContent = `${$("settled").textContent} ${message.text}`.trim();
  }
  if (message.type === "error") showError(message.error.message);
  if (message.type === "closed") own.ended = true;
}

function stopRecording(own) {
  if (own.socket.readyState === WebSocket.OPEN && !own.ended) {
    own.ended = true;
    own.socket.send(JSON.stringify({ type: "end" }));
  }
  for (const track of own.microphone.getTracks()) track.stop();
  if (own.context.state !== "closed") own.context.close();
  if (stream === own) stream = null;
  showRecording();
}

function post(file, fields, onProgress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("model", "");
    form.append("file", file);
    for (const [name, value] of fields) form.append(name, value);
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onload = () => (request.status === 200 ? resolve(request.responseText) : reject(request));
    request.onerror = () => reject(request);
    models().then((names) => {
      form.set("model", names[0]);
      request.open("POST", "v1/audio/transcriptions");
      if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
      request.send(form);
    }, reject);
  });
}

async function models() {
  const answer = await fetch("v1/models", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  if (!answer.ok) throw { status: answer.status, responseText: await answer.text() };
  return (await answer.json()).data.map((model) => model.id);
}

function showFailure(request) {
  $("progress").hidden = true;
  showStatus(null);
  if (request.status === 401) return askForKey();
  let message = say("lost");
  try {
    message = JSON.parse(request.responseText).error.message;
  } catch { /* no answer of the server's */ }
  showError(message);
}

async function transcribe(file) {
  showError("");
  refused = null;
  $("file-result").hidden = true;
  $("progress").hidden = false;
  $("progress").value = 0;
  showStatus("sending");
  const fields = [["response_format", "verbose_json"], ["timestamp_granularities[]", "word"]];
  try {
    const answer = JSON.parse(await post(file, fields, (share) => {
      $("progress").value = share;
      if (share === 1) {
        $("progress").removeAttribute("value");
        showStatus("working");
      }
    }));
    $("progress").hidden = true;
    showStatus(answer.text ? "done" : "nothing");
    transcript = { file, text: answer.text };
    URL.revokeObjectURL($("player").src);
    $("player").src = URL.createObjectURL(file);
    showWords(answer.words);
    $("file-result").hidden = false;
  } catch (request) {
    if (request.status === 401) refused = file;
    showFailure(request);
  }
}

function showWords(words) {
  $("words").replaceChildren(...words.flatMap((word) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "word";
    button.textContent = word.word;
    button.dataset.start = word.start;
    button.dataset.end = word.end;
    const uncertain = word.confidence < UNCERTAIN;
    button.classList.toggle("uncertain", uncertain);
    button.title = `${word.start.toFixed(2)} s${uncertain ? ` (${say("uncertain")})` : ""}`;
    button.onclick = () => {
      $("player").currentTime = word.start;
      $("player").play();
    };
    return [button, " "];
  }));
}

function markPlayed() {
  const now = $("player").currentTime;
  for (const word of document.querySelectorAll(".word")) {
    word.classList.toggle("playing", !$("player").paused && word.dataset.start <= now && now < word.dataset.end);
  }
}

async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  button.textContent = say("copied");
  setTimeout(() => { button.textContent = say("copy"); }, 1500);
}

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function saveAs(format) {
  const stem = transcript.file.name.replace(/\.[^.]*$/, "") || "transcript";
  if (format === "text") return save(`${transcript.text}\n`, `${stem}.txt`);
  try {
    save(await post(transcript.file, [["response_format", format]]), `${stem}.${format}`);
  } catch (request) {
    showFailure(request);
  }
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.onclick = () => chooseLanguage(button.dataset.language);
}
for (const button of document.querySelectorAll("[data-save]")) button.onclick = () => saveAs(button.dataset.save);
$("record").onclick = () => (stream ? stopRecording(stream) : startRecording());
$("file").onchange = ({ target }) => {
  const file = target.files[0];
  target.value = ""; // the same file may be chosen again
  if (file) transcribe(file);
};
$("copy-live").onclick = ({ target }) => copy(target, $("settled").textContent);
$("save-live").onclick = () => save(`${$("settled").textContent}\n`, "speech.txt");
$("copy-file").onclick = ({ target }) => copy(target, transcript.text);
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  $("key-form").hidden = true;
  showError("");
  if (refused) transcribe(refused);
};
for (const kind of ["timeupdate", "pause", "ended"]) $("player").addEventListener(kind, markPlayed);
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) transcribe(event.dataTransfer.files[0]);
  });
}
chooseLanguage((navigator.language || "hi").startsWith("hi") ? "hi" : "en");
