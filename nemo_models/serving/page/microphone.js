// The microphone as a live stream to the server, and what was heard as a sound that can be played.

import { streamProtocols } from "./requests.js";
import { spokenLanguage } from "./spoken.js";

const KEPT_S = 600; // of what was heard; earlier words do not play

/** What was heard: the last minutes, as 16-bit samples. Times are seconds since the first recording began. */
export class Sound {
  #parts = []; // {start, rate, samples}

  constructor() {
    this.lengthS = 0;
  }

  add(samples, rate) {
    const held = Int16Array.from(samples, (sample) => 32767 * Math.max(-1, Math.min(1, sample)));
    this.#parts.push({ start: this.lengthS, rate, samples: held });
    this.lengthS += held.length / rate;
    while (this.lengthS - this.#parts[0].start > KEPT_S) this.#parts.shift();
  }

  clear() {
    this.#parts = [];
  }

  /** A stretch as a WAV file; `null`: it is not kept any more. */
  cut(start, end) {
    const held = this.#parts.filter((part) => part.start < end && part.start + part.samples.length / part.rate > start);
    if (!held.length || held[0].start > start) return null;
    const rate = held[0].rate;
    held[0] = { ...held[0], samples: held[0].samples.subarray(Math.floor((start - held[0].start) * rate)) };
    return writeWav(held.map((part) => part.samples), rate);
  }
}

function writeWav(parts, rate) {
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const header = new DataView(new ArrayBuffer(44));
  const fields = ["RIFF", 36 + bytes, "WAVE", "fmt ", 16, 0x00010001 /* PCM, one channel */, rate, 2 * rate, 0x00100002 /* 16 bits */, "data", bytes];
  fields.forEach((field, number) => {
    if (typeof field === "number") header.setUint32(4 * number, field, true);
    else [...field].forEach((letter, at) => header.setUint8(4 * number + at, letter.charCodeAt(0)));
  });
  return new Blob([header, ...parts], { type: "audio/wav" });
}

/**
 * One recording of the microphone; what it heard is added to a sound, from `beginS` on.
 * on.level(0 … 1), on.message(message of the server), on.state("connecting", "listening", "finishing"), and at last
 * on.end(reason): "ended", "lost", "refused" (before the stream began), or "no_microphone".
 */
export class Recording {
  constructor(sound, on) {
    this.sound = sound;
    this.on = on;
    this.state = "connecting";
    this.isOver = false;
    this.language = spokenLanguage();
  }

  async start() {
    this.on.state(this.state);
    try {
      this.context = new AudioContext();
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch {
      this.#finish("no_microphone");
      return;
    }
    if (this.isOver || this.state === "finishing") return this.#finish("ended");
    if (this.context.sampleRate > 48000) { // the server's highest rate
      this.context.close();
      this.context = new AudioContext({ sampleRate: 48000 });
    }
    await this.context.audioWorklet.addModule("page/capture.js");
    this.context.resume();
    const address = new URL("v1/stream", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address, streamProtocols());
    const start = { type: "start", sample_rate: this.context.sampleRate, encoding: "float32", language: this.language };
    this.socket.onopen = () => this.#send(start);
    this.socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    this.socket.onclose = () => this.#finish(this.wasClosed ? "ended" : this.wasReady ? "lost" : "refused");
    const node = new AudioWorkletNode(this.context, "capture");
    node.port.onmessage = ({ data }) => this.#add(data);
    this.context.createMediaStreamSource(this.microphone).connect(node);
    for (const track of this.microphone.getTracks()) track.onended = () => this.stop();
  }

  /** End the last utterance; its words still come. */
  stop() {
    if (this.state === "finishing" || this.isOver) return;
    const wasListening = this.state === "listening";
    this.#setState("finishing");
    this.#release();
    if (wasListening) this.#send({ type: "end" });
    else this.socket?.close();
  }

  #add(samples) {
    if (this.state !== "listening") return;
    this.sound.add(samples, this.context.sampleRate);
    this.on.level(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(samples.buffer);
  }

  #hear(message) {
    if (message.type === "ready") {
      this.wasReady = true;
      if (this.state === "connecting") {
        this.beginS = this.sound.lengthS;
        this.#setState("listening");
      }
    }
    if (message.type === "closed" || message.type === "error") this.wasClosed = true; // the server says why
    this.on.message(message);
  }

  #send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #setState(state) {
    this.state = state;
    this.on.state(state);
  }

  #release() {
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") this.context.close();
    this.on.level(0);
  }

  #finish(reason) {
    if (this.isOver) return;
    this.isOver = true;
    this.#release();
    this.on.end(reason);
  }
}
