// Requests to the server of this page. A failure is an object {status, code, message}; no message: no answer came.

import { spokenLanguage } from "./spoken.js";

let key = "";

/** Use an API key from now on. */
export function useKey(value) {
  key = value;
}

const headers = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** The subprotocols of a stream: a browser sends no header with it. */
export function streamProtocols() {
  if (!key) return ["hindi-asr"];
  return ["hindi-asr", `key.${btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`];
}

function readFailure(status, body) {
  try {
    return { status, ...JSON.parse(body).error };
  } catch {
    return { status };
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers() });
  } catch {
    throw { status: 0 };
  }
  if (!answer.ok) throw readFailure(answer.status, await answer.text());
  return answer;
}

/** What the server says about its model: {id, word_times}. */
export async function showModel() {
  return (await (await ask("v1/models")).json()).data[0];
}

/** Subtitles for words, as the server writes them for a file: "srt" or "vtt". */
export async function makeSubtitles(words, format) {
  return (await ask(`page/subtitles/${format}`, { method: "POST", body: JSON.stringify(words) })).text();
}

/**
 * Transcribe a file.
 * onSent is called with the share that was sent, onTextSoFar with the text so far.
 * Gives {text, words, language}; a model without times of words gives no words.
 */
export async function transcribe(file, signal, onSent, onTextSoFar) {
  const form = new FormData();
  const model = await showModel();
  form.append("model", model.id);
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", model.word_times ? "word" : "segment");
  form.append("stream", "true");
  form.append("language", spokenLanguage());
  form.append("file", file);
  const request = new XMLHttpRequest(); // fetch does not say how much was sent
  let [read, text, result] = [0, "", null];
  const readEvents = () => {
    for (let end; request.status === 200 && (end = request.responseText.indexOf("\n\n", read)) >= 0; read = end + 2) {
      const content = request.responseText.slice(read, end).replace(/^data: /, "");
      if (content === "[DONE]") continue;
      const event = JSON.parse(content);
      if (event.type === "transcript.text.delta") onTextSoFar((text += event.delta));
      else result = event;
    }
  };
  return new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    request.onprogress = readEvents;
    request.onload = () => {
      readEvents();
      if (request.status !== 200) reject(readFailure(request.status, request.responseText));
      else if (result?.error) reject({ status: 200, ...result.error });
      else if (result) resolve(result);
      else reject({ status: 0 });
    };
    request.onerror = () => reject({ status: 0 });
    request.onabort = () => reject({ status: 0, canceled: true });
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", "v1/audio/transcriptions");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.send(form);
    if (signal.aborted) request.abort();
  });
}
