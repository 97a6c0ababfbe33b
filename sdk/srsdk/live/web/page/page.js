import { eachFrame } from "./frames.js";
import { drawStamp, elapsed, readStamp, stampOf } from "./glass.js";

const $ = (id) => document.getElementById(id);
const picture = $("picture").getContext("2d", { willReadFrequently: true });
const WIDTH = 1280, HEIGHT = 720; // of the upscaled picture
const GUARD = 2; // rows between the frame and the strip: scaling and compression mix neighbours
const KEPT = 40; // camera frames kept to be shown beside their upscaled ones
const token = new URLSearchParams(location.search).get("token") ?? "";

const sent = document.createElement("canvas"); // what goes to srsdk: the frame, the strip below it
const sending = sent.getContext("2d");
const kept = new Map(); // from stamp to the camera frame that carries it
const ages = [], times = [];
let models = [], scale = 4, width = 320, height = 180, strip = 10, split = 0.5, channel = null;
let outgoing = null, ownCamera = true, waiting = null;
window.srsdk = { frames: 0, unread: 0, width: 0, height: 0 }; // for tests

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

function setScale(next) {
  scale = next;
  width = WIDTH / scale;
  height = HEIGHT / scale;
  strip = Math.round(40 / scale);
  sent.width = width;
  sent.height = height + GUARD + strip;
  kept.clear();
  $("before-size").textContent = `${width}×${height}`;
}

/** The camera's middle, in the shape of the picture. */
function cropOf(cameraWidth, cameraHeight) {
  const wide = cameraWidth * HEIGHT > cameraHeight * WIDTH;
  const w = wide ? (cameraHeight * WIDTH) / HEIGHT : cameraWidth;
  const h = wide ? cameraHeight : (cameraWidth * HEIGHT) / WIDTH;
  return [(cameraWidth - w) / 2, (cameraHeight - h) / 2, w, h];
}

function onCameraFrame(image, cameraWidth, cameraHeight, close) {
  if (outgoing && !document.hidden) send(image, cropOf(cameraWidth, cameraHeight));
  close();
}

function send(image, crop) {
  const stamp = stampOf(performance.now());
  sending.imageSmoothingQuality = "high";
  sending.drawImage(image, ...crop, 0, 0, width, height);
  sending.drawImage(sent, 0, height - 1, width, 1, 0, height, width, GUARD);
  drawStamp(sending, stamp, 0, height + GUARD, width, strip);
  outgoing.requestFrame();
  let copy = kept.size < KEPT ? document.createElement("canvas") : null;
  if (!copy) {
    const [oldest, canvas] = kept.entries().next().value;
    kept.delete(oldest);
    copy = canvas;
  }
  copy.width = width;
  copy.height = height;
  copy.getContext("2d").drawImage(sent, 0, 0);
  kept.set(stamp, copy);
}

function onResultFrame(image, w, h, close) {
  if (waiting) waiting.close(); // two between two refreshes of the screen: the newest is shown
  else requestAnimationFrame(showWaiting);
  waiting = { image, w, h, close };
}

function showWaiting() {
  const { image, w, h, close } = waiting;
  waiting = null;
  showResult(image, w, h);
  close();
}

function showResult(image, w, h) {
  const shown = performance.now();
  if (!ownCamera) {
    draw(image, w, h, h);
    times.push(shown);
    if (times.length > 300) times.shift();
    return;
  }
  const row = h / (height + GUARD + strip), shownHeight = Math.round(row * height);
  draw(image, w, h, shownHeight);
  const stamp = readStamp(picture, 0, row * (height + GUARD), w, row * strip);
  if (kept.has(stamp)) drawBefore(kept.get(stamp), w, shownHeight);
  if (stamp === null) {
    window.srsdk.unread += 1;
    return;
  }
  ages.push(elapsed(stamp, shown));
  times.push(shown);
  if (ages.length > 300) { ages.shift(); times.shift(); }
}

/** Draw the picture; what lies below `shownHeight` is below the stage. */
function draw(image, w, h, shownHeight) {
  if (picture.canvas.width !== w || picture.canvas.height !== h) {
    [picture.canvas.width, picture.canvas.height] = [w, h];
    picture.canvas.style.height = `${(100 * h) / shownHeight}%`;
    $("stage").style.aspectRatio = `${w} / ${shownHeight}`;
  }
  picture.drawImage(image, 0, 0); // once: without a GPU, that is what costs most
  window.srsdk.frames += 1;
  [window.srsdk.width, window.srsdk.height] = [w, shownHeight];
  $("after-size").textContent = `${w}×${shownHeight}`;
}

function drawBefore(before, w, h) {
  const share = Math.round(split * before.width) / before.width;
  picture.imageSmoothingQuality = "medium";
  picture.drawImage(before, 0, 0, share * before.width, before.height, 0, 0, share * w, h);
}

function showMeasured() {
  const now = performance.now(), recent = times.filter((t) => now - t < 2000).length;
  $("fps").textContent = times.length ? (recent / 2).toFixed(1) : "–";
  if (!ages.length) return;
  const sorted = [...ages].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  $("latency").textContent = at(0.5).toFixed(0);
  $("latency95").textContent = at(0.95).toFixed(0);
}

function showReport(report) {
  const names = { faces: "faces + frame", frame: "frame", fast: "fast model", bicubic: "bicubic" };
  const [kind, every] = report.level.split("/");
  $("level").textContent = names[kind] ?? "–";
  $("level").title = every ? `faces detected every ${every} frames` : "";
  $("age").textContent = report.age.toFixed(0);
  $("faces-found").textContent = report.faces;
  if (report.problem) say(report.problem, true);
  else if (report.state !== "live") say(report.state);
  else say(`live: ${report.model}`);
}

function control(wanted) {
  if (channel?.readyState === "open") channel.send(JSON.stringify(wanted));
}

function chooseModel(name) {
  const model = models.find((each) => each.name === name);
  setScale(model.scale);
  $("faces").disabled = $("strength").disabled = !model.faces;
  ages.length = times.length = 0;
}

async function request(path, body) {
  const options = { headers: { "X-Token": token } };
  if (body) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (!response.ok) {
    const text = await response.text();
    let reason = text;
    try { reason = JSON.parse(text).error; } catch { /* plain text */ }
    throw Object.assign(new Error(reason), { status: response.status });
  }
  return response.json();
}

/** The answer to an offer once there is no other visitor: that may be this page before a reload. */
async function answerTo(offer) {
  for (;;) {
    try {
      return await request("offer", offer);
    } catch (error) {
      if (error.status !== 409) throw error;
      say(`${error.message}; waiting`, true);
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}

async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("browsers give the camera to pages of this machine or https only: forward the " +
      "port, for instance ssh -L 8080:127.0.0.1:8080 HOST");
  }
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } },
  });
  eachFrame(stream.getVideoTracks()[0], $("camera"), onCameraFrame);
}

async function gathered(peer) {
  if (peer.iceGatheringState === "complete") return;
  await new Promise((done) => {
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") done();
    });
    setTimeout(done, 2000);
  });
}

async function connect() {
  const peer = new RTCPeerConnection();
  addEventListener("pagehide", () => peer.close());
  const stream = sent.captureStream(0);
  const track = stream.getVideoTracks()[0];
  track.contentHint = "motion";
  const sender = ownCamera ? peer.addTrack(track, stream) : null;
  if (!ownCamera) peer.addTransceiver("video", { direction: "recvonly" });
  channel = peer.createDataChannel("control");
  channel.onopen = () => control({ faces: $("faces").checked && !$("faces").disabled });
  channel.onmessage = (message) => showReport(JSON.parse(message.data));
  peer.ontrack = (event) => {
    event.receiver.jitterBufferTarget = 0; // the newest picture, not the smoothest film
    event.receiver.playoutDelayHint = 0;
    eachFrame(event.track, $("result"), onResultFrame);
  };
  peer.onconnectionstatechange = () => {
    if (["failed", "disconnected"].includes(peer.connectionState)) {
      say("the connection is lost; reload the page", true);
    }
  };
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const { type, sdp } = peer.localDescription;
  await peer.setRemoteDescription(await answerTo({ type, sdp }));
  if (sender) {
    const settings = sender.getParameters();
    settings.degradationPreference = "maintain-resolution";
    settings.encodings.forEach((each) => { each.maxBitrate = 2_500_000; });
    await sender.setParameters(settings);
    outgoing = track;
  }
}

$("slider").oninput = (event) => {
  split = event.target.value / 1000;
  $("divider").style.left = `${100 * split}%`;
};
$("model").onchange = (event) => {
  chooseModel(event.target.value);
  control({ model: event.target.value, faces: $("faces").checked && !$("faces").disabled });
};
$("faces").onchange = (event) => control({ faces: event.target.checked });
$("strength").oninput = (event) => {
  $("strength-value").textContent = `${event.target.value}%`;
  control({ strength: event.target.value / 100 });
};

try {
  const config = await request("config");
  ({ camera: ownCamera, models } = config);
  $("strength").value = Math.round(100 * config.strength);
  $("strength-value").textContent = `${$("strength").value}%`;
  document.body.classList.toggle("watch", !ownCamera);
  $("model").append(...models.map((each) => new Option(`${each.name} (×${each.scale})`, each.name)));
  chooseModel(models[0].name);
  if (ownCamera) await openCamera();
  say("connecting…");
  await connect();
  setInterval(showMeasured, 500);
} catch (error) {
  say(error.name === "NotAllowedError" ? "the camera was refused; allow it and reload" : error.message,
    true);
}
