// Portable files in JavaScript: `node runtimes.mjs RUNTIME FOLDER`, RUNTIME one of onnxruntime-node,
// onnxruntime-web (wasm in Node) and chromium (wasm in a page). Reads FOLDER/cases.json and clips.bin, writes
// the logits of each case to FOLDER/RUNTIME-FILE-BATCH.bin.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const [, , runtime, folder] = process.argv;
const { shape, files } = JSON.parse(fs.readFileSync(path.join(folder, 'cases.json')));
const bytes = fs.readFileSync(path.join(folder, 'clips.bin'));
const clips = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const clip = shape.reduce((a, b) => a * b, 1);

async function inNode() {
  const ort = await import(runtime);
  const provider = runtime === 'onnxruntime-node' ? 'cpu' : 'wasm';
  const classify = async (file, batch) => {
    const model = fs.readFileSync(path.join(folder, file));
    const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
    const input = new ort.Tensor('float32', clips.slice(0, batch * clip), [batch, ...shape]);
    return (await session.run({ clips: input })).logits.data;
  };
  return [classify, () => {}, ort.env.versions[runtime.split('-')[1]]];
}

async function inChromium() {
  const chromium = (await import('@sparticuz/chromium')).default;
  const puppeteer = (await import('puppeteer-core')).default;
  const types = { '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
  const server = http.createServer((request, response) => {
    const name = path.basename(request.url);
    const found = [folder, 'node_modules/onnxruntime-web/dist'].map((at) => path.join(at, name)).find(fs.existsSync);
    response.setHeader('Content-Type', types[path.extname(name)] ?? 'application/octet-stream');
    response.end(name === 'page.html' ? '<!doctype html>' : found && fs.readFileSync(found));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await puppeteer.launch({
    executablePath: await chromium.executablePath(), args: [...chromium.args, '--no-sandbox'], headless: 'shell',
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
  const classify = (file, batch) => page.evaluate(async (file, batch, shape, clip) => {
    const ort = await import('/ort.wasm.min.mjs');
    ort.env.wasm.numThreads = 1;
    const read = async (name) => (await fetch(`/${name}`)).arrayBuffer();
    const session = await ort.InferenceSession.create(await read(file), { executionProviders: ['wasm'] });
    const values = new Float32Array(await read('clips.bin')).slice(0, batch * clip);
    const input = new ort.Tensor('float32', values, [batch, ...shape]);
    return [...(await session.run({ clips: input })).logits.data];
  }, file, batch, shape, clip);
  const close = async () => { await browser.close(); server.close(); };
  return [classify, close, await browser.version()];
}

const [classify, close, version] = await (runtime === 'chromium' ? inChromium() : inNode());
for (const [file, batches] of Object.entries(files)) {
  for (const batch of batches) {
    const logits = Float32Array.from(await classify(file, batch));
    fs.writeFileSync(path.join(folder, `${runtime}-${file}-${batch}.bin`), Buffer.from(logits.buffer));
  }
}
await close();
console.log(version);
