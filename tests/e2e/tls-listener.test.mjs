// The hub's screens on another device: TLS, a login by name and PIN, and what strangers get.

import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { Firm, LIMIT } from './firm.mjs';

const PIN = 'long-enough-7';
let firm;
let base;

before(async () => {
  firm = await Firm.found();
  await firm.hub.kill();
  await firm.hub.start('--https', '127.0.0.1:0', '--https-name', 'hub.example');
  base = `https://${firm.hub.https.address}`;
  const admin = await firm.page(firm.hub);
  const add = (person) => admin.evaluate(async (person) => (await fetch('/api/v1/people', { method: 'POST', body: JSON.stringify(person) })).status, person);
  assert.equal(await add({ name: 'Li Na', role: 'dispatcher', pin: PIN }), 200);
  assert.equal(await add({ name: 'Chen', role: 'picker', pin: '1234' }), 200);
  assert.equal(await add({ name: 'Guest', role: 'viewer', pin: 'view-it-all' }), 200);
  await admin.context().close();
});
after(() => firm?.close());

/** A request as no browser would make it. */
function ask(path, { method = 'GET', headers = {}, body = '' } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(`${base}${path}`, { method, headers, rejectUnauthorized: false }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const login = (name, pin) => ask('/api/v1/login', { method: 'POST', body: JSON.stringify({ name, pin }), headers: { 'Content-Type': 'application/json' } });

async function elsewhere() {
  const context = await firm.browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  return page;
}

async function enter(page, name, pin) {
  await page.goto(base);
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('PIN').fill(pin);
  const button = page.getByRole('button', { name: 'Log in' });
  await button.click();
  await button.waitFor({ state: 'detached' });
}

test('the certificate is the one whose fingerprint was shown', async () => {
  const [host, port] = firm.hub.https.address.split(':');
  const seen = await new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.end();
    });
    socket.on('error', reject);
  });
  assert.equal(seen, firm.hub.https.fingerprint);
  await firm.hub.kill();
  const before = firm.hub.https;
  await firm.hub.start('--https', before.address, '--https-name', 'hub.example');
  assert.equal(firm.hub.https.fingerprint, before.fingerprint, 'who accepted it once is not asked again');
});

test('a dispatcher works from a phone, and is named by what they do', async () => {
  const page = await elsewhere();
  await enter(page, 'Li Na', PIN);
  const [row] = await firm.hub.creel('list', '--filter', 'limit:1');
  await page.goto(`${base}/#/s/${row.id}`);
  await page.getByText(row.number).first().waitFor();
  const said = await page.evaluate(async (id) => {
    const body = JSON.stringify({ shipment: id, text: 'from the yard' });
    return (await fetch('/api/v1/messages', { method: 'POST', body, headers: { 'Idempotency-Key': crypto.randomUUID() } })).status;
  }, row.id);
  assert.equal(said, 200);
  await page.getByText('from the yard').first().waitFor();
  const cookies = await page.context().cookies(base);
  const session = cookies.find((cookie) => cookie.name.startsWith('__Host-creel-'));
  assert.ok(session.secure && session.httpOnly && session.sameSite === 'Strict', JSON.stringify(session));
  const told = await page.evaluate(async (ref) => (await fetch(`/api/v1/shipments/${ref}/tracking`)).json(), row.id);
  assert.match(told.url, /^https:\/\/hub\.example:\d+\/t\//, 'a customer\'s link carries the name the node was given');
  const customer = await ask(told.path);
  assert.equal(customer.status, 200);
  assert.ok(customer.body.toString().includes(row.number) && !customer.body.toString().includes('from the yard'));
});

test('strangers are told nothing', async () => {
  assert.equal((await ask('/api/v1/shipments')).status, 401);
  assert.equal((await ask('/api/v1/people-names')).status, 403);
  assert.equal((await ask('/open?code=x')).status, 403);
  const token = (await firm.hub.creel('open', '--print')).url;
  const code = new URL(token).searchParams.get('code');
  assert.equal((await ask(`/open?code=${code}`)).status, 403, 'a link for this device opens nothing elsewhere');
  assert.equal((await ask('/api/v1/shipments', { headers: { Host: 'evil.example' } })).status, 403);
  assert.equal((await ask('/api/v1/login', { method: 'POST', body: '{}', headers: { Origin: 'https://evil.example' } })).status, 403);
  assert.equal((await ask('/api/v1/login', { method: 'POST', body: `{"name":"${'x'.repeat(10_000)}"}` })).status, 413);
  assert.equal((await ask('/api/v1/shipments', { headers: { Cookie: `__Host-creel-${new URL(base).port}=bm90aGluZw.bm90aGluZw` } })).status, 401);
  const { status, body } = await login('Chen', '1234');
  assert.equal(status, 403, 'a short PIN is for the device itself');
  assert.match(body.toString(), /8 characters/);
});

test('files are compressed on the way', async () => {
  const plain = await ask('/');
  const name = /assets\/[^"]+\.js/.exec(plain.body.toString())[0];
  const small = await ask(`/${name}`, { headers: { 'Accept-Encoding': 'br' } });
  const whole = await ask(`/${name}`);
  assert.equal(small.headers['content-encoding'], 'br');
  assert.ok(small.body.length * 2 < whole.body.length, `${small.body.length} of ${whole.body.length}`);
});

test('who guesses waits, and locks nobody out of the device itself', async () => {
  for (let tried = 0; tried < 5; tried += 1) assert.equal((await login('Guest', `wrong-wrong-${tried}`)).status, 401);
  assert.equal((await login('Guest', 'view-it-all')).status, 429);
  assert.equal((await login('No such person', 'wrong-wrong')).status, 401, 'nor is it told who there is');
  const here = await fetch(`http://${firm.hub.http}/api/v1/login`, { method: 'POST', body: JSON.stringify({ name: 'Guest', pin: 'view-it-all' }) });
  assert.equal(here.status, 200);
});

test('who has another PIN or was removed is out at once', async () => {
  const page = await elsewhere();
  await enter(page, 'Li Na', PIN);
  const asks = () => page.evaluate(async () => (await fetch('/api/v1/shipments')).status);
  assert.equal(await asks(), 200);
  const admin = await firm.page(firm.hub);
  const does = (path, body) => admin.evaluate(async ([path, body]) => (await fetch(`/api/v1/${path}`, { method: 'POST', body: JSON.stringify(body) })).status, [path, body]);
  assert.equal(await does('people', { name: 'Li Na', role: 'dispatcher', pin: 'another-one' }), 200);
  assert.equal(await asks(), 401);
  await enter(page, 'Li Na', 'another-one');
  assert.equal(await does('people/remove', { name: 'Li Na' }), 200);
  assert.equal(await asks(), 401);
});
