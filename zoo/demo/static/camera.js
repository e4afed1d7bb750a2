// The camera: a stream that is drawn from, frame by frame.

import { Sentence } from "./words.js";

const REASONS = {
  NotAllowedError: "The camera was not allowed: allow it in the browser's settings of this page.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is in use by another program.",
};

export class Camera {
  static async open() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Sentence("This browser gives the camera only to pages from localhost or https.");
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true });
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false });
      await video.play();
    } catch (error) {
      throw new Sentence(REASONS[error.name] ?? `The camera does not start: ${error.message}`);
    }
    return new Camera(video);
  }

  constructor(video) {
    this.video = video;
  }

  get size() {
    return { width: this.video.videoWidth, height: this.video.videoHeight };
  }

  close() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
  }
}
