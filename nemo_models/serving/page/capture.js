// Passes the microphone's samples on, about a tenth of a second at a time.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = new Float32Array(Math.round(sampleRate / 10));
    this.length = 0;
  }

  process([channels]) {
    const samples = channels[0];
    if (!samples) return true;
    for (const sample of samples) {
      this.held[this.length++] = sample;
      if (this.length === this.held.length) {
        this.port.postMessage(this.held.slice());
        this.length = 0;
      }
    }
    return true;
  }
}
registerProcessor("capture", Capture);
