// A firm of real `creel` processes and a real browser for one test, in a folder that goes with it.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32, deflateSync } from 'node:zlib';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const creelBinary = process.env.CREEL ?? join(root, 'target/release/creel');
/** Screens of another build than the one that is compiled in, such as `node/web/dist` after `npm run build`. */
const screens = process.env.CREEL_SCREENS;
const browserBinary = process.env.CREEL_BROWSER ?? 'chromium';
const web = createRequire(join(root, 'node/web/package.json'));
const { chromium } = web('playwright-core');
const run = promisify(execFile);

/** How long anything awaited may take: busy machines get there too. */
export const LIMIT = Number(process.env.CREEL_LIMIT ?? 120_000);

/** A device with creel on it. */
export class Device {
  constructor(folder, name) {
    this.data = join(folder, name);
    this.name = name;
  }

  /** Runs a command on it; it prints JSON. */
  async creel(...words) {
    const { stdout } = await run(creelBinary, ['--data', this.data, '--json', ...words], { cwd: root });
    return JSON.parse(stdout);
  }

  /** Switches it on, at the same addresses as before if it was on already. */
  async start(...more) {
    const words = ['--data', this.data, '--json', 'serve', '--no-lan', '--http', this.http ?? '127.0.0.1:0', '--quic', this.quic ?? '127.0.0.1:0', ...more];
    this.process = spawn(creelBinary, words, { stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = createInterface({ input: this.process.stdout });
    const first = await new Promise((resolve, reject) => {
      lines.once('line', resolve);
      this.process.once('exit', () => reject(new Error(`${this.name} did not start`)));
    });
    ({ http: this.http, quic: this.quic, https: this.https } = JSON.parse(first));
    return this;
  }

  /** Asks the API with the device's own token, as its commands do. */
  async api(path, { headers, ...more } = {}) {
    const token = readFileSync(join(this.data, 'api-token'), 'utf8').trim();
    return fetch(`http://${this.http}/api/v1${path}`, { ...more, headers: { authorization: `Bearer ${token}`, ...headers } });
  }

  /** Posts JSON, or bytes as they are. */
  async post(path, body) {
    const bytes = typeof body === 'string' || body instanceof Uint8Array;
    const headers = { 'content-type': bytes ? 'application/octet-stream' : 'application/json', 'idempotency-key': randomUUID() };
    return this.api(path, { method: 'POST', headers, body: bytes ? body : JSON.stringify(body) });
  }

  /** Pulls the battery: SIGKILL, and waits until it is gone. */
  async kill() {
    if (!this.process || this.process.exitCode !== null) return;
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await gone;
    this.process = null;
  }
}

/** A hub with the sample day's orders if they are wanted, and the browser. */
export class Firm {
  static async found({ sample = true } = {}) {
    const firm = new Firm();
    firm.folder = mkdtempSync(join(tmpdir(), 'creel-e2e-'));
    firm.devices = [];
    firm.hub = firm.device('hub');
    await firm.hub.creel('init', '--org', '试验渔具 Test Tackle');
    await firm.hub.start();
    if (sample) await firm.hub.creel('import', 'docs/samples/made-up-day.csv', '--map', 'docs/mappings/tackle.toml');
    return firm.#browse();
  }

  /** No node of its own, only the browser. */
  static async browserAlone() {
    const firm = new Firm();
    firm.folder = mkdtempSync(join(tmpdir(), 'creel-e2e-'));
    firm.devices = [];
    return firm.#browse();
  }

  async #browse() {
    const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
    const executablePath = browserBinary.includes('/') ? browserBinary : (await run('which', [browserBinary])).stdout.trim();
    this.browser = await chromium.launch({ executablePath, args: quiet });
    return this;
  }

  device(name) {
    const device = new Device(this.folder, name);
    this.devices.push(device);
    return device;
  }

  /** A device that joins and runs. */
  async admit(role, party, name) {
    const device = this.device(name);
    const words = ['invite', '--role', role, '--name', name, ...(party ? ['--party', party] : [])];
    const { invite } = await this.hub.creel(...words);
    await device.creel('join', invite, '--hub', this.hub.quic);
    return device.start();
  }

  /** An empty page in a browser of its own, where nobody is logged in. */
  async blank({ language = 'en', width = 1280, height = 800 } = {}) {
    const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
    const context = await this.browser.newContext({ locale, viewport: { width, height }, timezoneId: 'Asia/Shanghai' });
    return this.dress(await context.newPage());
  }

  /** What a new page of any browser needs for a test. */
  async dress(page) {
    page.setDefaultTimeout(LIMIT);
    page.troubles = [];
    if (screens) {
      await page.route(({ pathname }) => pathname === '/' || pathname.startsWith('/assets/'), (route) => {
        const path = join(screens, new URL(route.request().url()).pathname.replace(/\/$/, '/index.html'));
        return existsSync(path) ? route.fulfill({ path }) : route.continue();
      });
    }
    page.on('pageerror', (error) => page.troubles.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && page.troubles.push(message.text()));
    return page;
  }

  /** A page of a device's own screens, signed in by its one-time link. */
  async page(device, look) {
    const page = await this.blank(look);
    const { url } = await device.creel('open', '--print');
    await page.goto(url);
    // What a link leads on to is not to be replaced by others' screens; what is loaded by itself is.
    if (screens) await page.reload();
    await page.locator('main h1').first().waitFor({ state: 'attached' });
    await loaded(page);
    return page;
  }

  /** Every shipment's edits, as the hub tells them. */
  async records() {
    const rows = await this.hub.creel('list');
    return Object.fromEntries(await Promise.all(rows.map(async (row) => [row.id, await this.hub.creel('history', row.id)])));
  }

  async close() {
    await this.browser?.close();
    await Promise.all(this.devices.map((device) => device.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until the lists of a page, or of a frame, are whole: before that the screens show whatever came first. */
export async function loaded(page) {
  await page.getByRole('banner').getByRole('status').filter({ hasText: /\S/, hasNotText: /^\s*(Loading…|正在载入…)/ }).first().waitFor();
}

/** Waits until nothing on a page is being loaded, turns or moves. */
export async function settled(page) {
  await page.waitForFunction(() => !/Loading…|正在载入…/.test(document.body.innerText) && document.getAnimations().every((one) => one.playState !== 'running'));
}

/** Looks until there is something. */
export async function eventually(what, look) {
  const until = Date.now() + LIMIT;
  for (;;) {
    const found = await look().catch(() => null);
    if (found) return found;
    if (Date.now() > until) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Nothing was run, and nothing was tried: the policy would have told of a script that it held back. That something was refused is told as well. */
export async function quiet(page) {
  assert.equal(await page.evaluate(() => window.caught), undefined);
  const refused = /Failed to load resource: .* status of (400|401|403|404|413) /;
  assert.deepEqual(page.troubles.filter((trouble) => !refused.test(trouble)), []);
}

/** Counts what a person presses. Typing and drawing are not taps. */
export class Taps {
  count = 0;

  async on(locator) {
    await locator.click();
    this.count += 1;
  }

  /** A list is opened with one tap, and one of it chosen with another. */
  async choose(locator, value) {
    await locator.selectOption(value);
    this.count += 2;
  }

  /** One tap opens the camera; what is pressed in there is the camera's. The file is a path or what is in it. */
  async photograph(part, file, page = part) {
    const [camera] = await Promise.all([page.waitForEvent('filechooser'), this.on(part.getByLabel('Take a photo'))]);
    await camera.setFiles(typeof file === 'string' ? file : { name: 'photo.png', mimeType: 'image/png', ...file });
  }
}

/** What a camera reads from a picture of a code. */
export async function readCode(png) {
  const { prepareZXingModule, readBarcodes } = web('zxing-wasm/reader');
  prepareZXingModule({ overrides: { wasmBinary: readFileSync(web.resolve('zxing-wasm/reader/zxing_reader.wasm')) } });
  const [code] = await readBarcodes(new Blob([png]), { formats: ['QRCode'] });
  return code?.text;
}

/** A photo as a camera gives it: a PNG of one colour and the size that is asked for. */
export function picture([red, green, blue], { width = 64, height = 48 } = {}) {
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([red, green, blue]))]);
  const chunk = (kind, data) => {
    const [body, ends] = [Buffer.concat([Buffer.from(kind), data]), Buffer.alloc(8)];
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const rows = deflateSync(Buffer.alloc(line.length * height, line));
  return Buffer.concat([start, chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}
