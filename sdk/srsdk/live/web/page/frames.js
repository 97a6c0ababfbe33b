// Frames of a track, each as soon as it is there.

/**
 * Call `take(image, width, height, close)` for each frame of a track; `close` gives the frame back.
 *
 * Browsers that have MediaStreamTrackProcessor give a frame when it is decoded. Through a video
 * element it comes one or two refreshes of the screen later, and of two frames in that time one is
 * lost: with 30 pictures a second, five or six of them.
 */
export async function eachFrame(track, video, take) {
  if (!("MediaStreamTrackProcessor" in window)) {
    video.srcObject = new MediaStream([track]);
    const next = () => {
      video.requestVideoFrameCallback(next);
      take(video, video.videoWidth, video.videoHeight, () => {});
    };
    video.requestVideoFrameCallback(next);
    await video.play();
    return;
  }
  const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    take(frame, frame.displayWidth, frame.displayHeight, () => frame.close());
  }
}
