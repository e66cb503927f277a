// Prints the emotion every second of the sound that comes in: 16-bit samples at 16 kHz, one channel. Node 22.18 or later. A microphone on Linux:
// `ffmpeg -loglevel error -f alsa -i default -f s16le -ar 16000 -ac 1 - | node stream-audio.ts`; a file: `ffmpeg -re -i call.wav …`.
// docs/serving.md explains the numbers. Beyond loopback the predictor asks for its token: put a proxy in front.
const { PREDICTOR_URL = 'http://127.0.0.1:7404' } = process.env;
const socket = new WebSocket(`${PREDICTOR_URL.replace('http', 'ws')}/stream?rate=16000&channels=1`);

socket.addEventListener('message', ({ data }) => {
  const { type, startSec, endSec, score, problem } = JSON.parse(String(data));
  if (problem) return console.log(`${startSec ?? ''} ${problem.code ?? problem.title}: ${problem.detail}`);
  if (!score) return; // the stream has begun, or ended
  const shares = Object.entries<number>(score.probabilities[score.model.target]).sort(([, a], [, b]) => b - a);
  const answer = shares.map(([name, share]) => `${name} ${(share * 100).toFixed(1)} %`).join(', ');
  console.log(`${type === 'whole' ? 'the whole' : `${startSec.toFixed(1)}–${endSec.toFixed(1)} s`}: ${answer}`);
});
await new Promise((resolve, reject) => {
  socket.addEventListener('open', resolve);
  socket.addEventListener('error', () => reject(new Error(`cannot connect to the predictor at ${PREDICTOR_URL}`)));
});
for await (const samples of process.stdin) socket.send(samples);
socket.send('end');
