// Every role's screens, in both languages, on a phone and on a desk: they open without an error, fit, and axe finds nothing.
// With CREEL_SHOTS=FOLDER each is kept as a picture, to be looked at.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Firm } from './firm.mjs';

const axe = createRequire(fileURLToPath(new URL('../../node/web/package.json', import.meta.url)))('axe-core').source;
const shots = process.env.CREEL_SHOTS;
const sizes = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
];

let firm;
let devices;
before(async () => {
  firm = await Firm.found();
  devices = {
    hub: firm.hub,
    driver: await firm.admit('driver', 'driver:zhang-min', 'zhang-min'),
    shop: await firm.admit('shop', 'shop:west-lake', 'west-lake'),
    picker: await firm.admit('picker', null, 'picker-pc'),
    viewer: await firm.admit('viewer', null, 'boss'),
  };
  await firm.hub.creel('record', 'M20260601-0002', 'cancelled', '--reason', 'the shop closed');
});
after(() => firm?.close());

/** Violations of the rules that concern what people see and use. */
async function violations(page) {
  // The policy keeps scripts of others out, axe among them: it comes in by the browser's debugger.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  });
}

const places = {
  hub: ['board', 'inbox', 'map', 'contacts', 'picker', 'boss', 'admin', 'scan', 's/M20260601-0002'],
  driver: ['driver', 'scan'],
  shop: ['shop'],
  picker: ['picker'],
  viewer: ['boss', 'board'],
};

for (const [who, addresses] of Object.entries(places)) {
  for (const language of ['zh', 'en']) {
    for (const size of sizes) {
      test(`${who}'s screens in ${language} at ${size.width} px`, async () => {
        const page = await firm.page(devices[who], { language, ...size });
        for (const address of addresses) {
          await page.goto(`http://${devices[who].http}/#/${address}`);
          await page.locator('main h1').first().waitFor({ state: 'attached' });
          await page.waitForTimeout(400);
          if (shots) {
            mkdirSync(shots, { recursive: true });
            await page.screenshot({ path: join(shots, `${who}-${address.replaceAll('/', '_')}-${language}-${size.width}.png`) });
          }
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `#/${address} is ${wide} px too wide`);
          assert.deepEqual(await violations(page), [], `#/${address}`);
        }
        assert.deepEqual(page.troubles, []);
        await page.context().close();
      });
    }
  }
}

/** The customer's page needs no script and tells nothing private; a guessed link tells nothing. */
test('a customer follows a shipment by its link', async () => {
  const token = await (await import('node:fs/promises')).readFile(join(firm.hub.data, 'api-token'), 'utf8');
  const headers = { authorization: `Bearer ${token.trim()}` };
  const { path } = await (await fetch(`http://${firm.hub.http}/api/v1/shipments/M20260601-0002/tracking`, { headers })).json();
  const context = await firm.browser.newContext({ javaScriptEnabled: false, locale: 'zh-CN', viewport: sizes[0] });
  const page = await context.newPage();
  await page.goto(`http://${firm.hub.http}${path}`);
  const text = await page.locator('main').innerText();
  assert.match(text, /M20260601-0002/);
  assert.match(text, /已取消|取消/);
  assert.doesNotMatch(text, /the shop closed/, 'a reason is nobody else\'s business');
  if (shots) await page.screenshot({ path: join(shots, 'customer-zh-360.png') });
  await context.close();
  const guessed = await fetch(`http://${firm.hub.http}${path.slice(0, -1)}${path.endsWith('0') ? '1' : '0'}`);
  assert.equal(guessed.status, 404);
});

/** Nobody without a session is told anything; another site's requests are refused; a link works once. */
test('the doors are closed', async () => {
  const at = `http://${firm.hub.http}`;
  assert.equal((await fetch(`${at}/api/v1/shipments`)).status, 401);
  assert.equal((await fetch(`${at}/api/v1/status`, { headers: { cookie: 'creel-1=x.y' } })).status, 401);
  assert.equal((await fetch(`${at}/`, { headers: { origin: 'http://elsewhere.example' } })).status, 403);
  const { url } = await firm.hub.creel('open', '--print');
  assert.equal((await fetch(url, { redirect: 'manual' })).status, 303);
  assert.equal((await fetch(url, { redirect: 'manual' })).status, 403);
  const page = await fetch(`${at}/`);
  assert.match(page.headers.get('content-security-policy'), /script-src 'self'/);
});
