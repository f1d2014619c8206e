// What a node refuses at its own door, in words and without harm: wrong JSON, values that cannot be, what is somebody else's, paths that lead out,
// and other hosts and sites.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';
import { Firm, eventually, picture, quiet } from './firm.mjs';

const api = JSON.parse(readFileSync(new URL('../../node/src/http/openapi.json', import.meta.url), 'utf8'));

let firm;
let driver;
/** What a driver's node answers about a photo that is not the driver's: it asks the hub, and waits for a while. */
let foreignPhoto;
/** What was there before anything came that is to be refused. */
let earlier;
before(async () => {
  firm = await Firm.found();
  driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
  assert.equal((await firm.hub.post('/people', { name: 'Sun Yu', role: 'viewer', pin: '4711' })).status, 200);
  await eventually('the driver\'s own orders', async () => (await driver.creel('list')).length > 2);
  const { hash } = await (await firm.hub.post('/photos', picture([7, 7, 7]))).json();
  const [{ id }] = await firm.hub.creel('list', '--filter', 'driver:li-wei is:open limit:1');
  await firm.hub.post('/records', { shipments: [id], record: { step: 'picked', photos: [hash] } });
  foreignPhoto = driver.api(`/photos/${hash}`);
  earlier = await firm.records();
});
after(() => firm?.close());

const at = (device, address) => `http://${device.http}/#/${address}`;

/** Every POST route that is described, with JSON of every wrong kind. */
test('wrong JSON is refused in words by every route', async () => {
  const values = [null, true, 1.5, -1, 'x', [], {}, [[[]]], '\u0000', 'x'.repeat(1 << 20), ['x'], { a: { b: {} } }];
  const texts = ['null', '[]', '42', '"x"', '{', '{"__proto__":{"a":1}}', '1e999', '['.repeat(100_000), '{"a":'.repeat(100_000), Buffer.from([0xff, 0xfe, 0, 1])];
  const posts = Object.entries(api.paths).flatMap(([path, methods]) => (methods.post ? [[path, methods.post]] : []));
  assert.ok(posts.length >= 17, 'all routes are described');
  for (const [path, { requestBody }] of posts) {
    const schema = requestBody?.content['application/json']?.schema;
    // Without a JSON body there is nothing in it to be wrong: photos and packs are bytes.
    if (!schema) continue;
    const names = Object.keys(schema.properties);
    const bodies = ['', ...texts, ...values.map((value) => JSON.stringify(Object.fromEntries(names.map((name) => [name, value]))))];
    for (const body of bodies) {
      const headers = { 'idempotency-key': randomUUID(), 'content-type': 'application/json' };
      const answer = await firm.hub.api(path.replace('/api/v1', ''), { method: 'POST', headers, body });
      const what = `${path} ${String(body).slice(0, 60)}`;
      assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`);
      assert.ok((await answer.json()).error.length > 10, `${what}: no words`);
    }
  }
  for (const key of [undefined, '', 'x'.repeat(201)]) {
    const headers = { 'content-type': 'application/json', ...(key !== undefined && { 'idempotency-key': key }) };
    const body = JSON.stringify({ shipment: 'M20260601-0003', text: 'x' });
    assert.equal((await firm.hub.api('/messages', { method: 'POST', headers, body })).status, 400);
  }
  assert.equal((await firm.hub.post('/unpack', 'no pack')).status, 400);
  assert.equal((await firm.hub.post('/photos', '')).status, 400);
  // Too long, and the answer is read all the same.
  for (const path of ['/login', '/messages', '/photos']) {
    const answer = await firm.hub.api(path, { method: 'POST', headers: { 'idempotency-key': randomUUID(), 'content-type': 'application/json' }, body: 'x'.repeat(24 << 20) });
    assert.equal(answer.status, 413, path);
    assert.ok((await answer.json()).error.length > 10, path);
  }
});

test('values that no one can mean are refused in words', async () => {
  const shipments = ['M20260601-0003'];
  const tries = [
    ['/records', { shipments, record: { step: '__proto__' } }],
    ['/records', { shipments, record: { step: 'picked', place: [9e9, 0] } }],
    ['/records', { shipments, record: { step: 'picked', lines: [{ line: '999', short: 1 }] } }],
    ['/records', { shipments, record: { step: 'picked', lines: [{ line: '1', short: -5 }] } }],
    ['/records', { shipments, record: { step: 'picked', note: 'x'.repeat(1 << 20) } }],
    ['/records', { shipments, record: { step: 'picked', photos: ['../api-token'] } }],
    ['/records', { shipments, record: { step: 'picked', signature: '%%%' } }],
    ['/records', { shipments, record: { step: 'signed', receiver: '  ' } }],
    ['/records', { shipments, record: { step: 'attempt_failed', reason: '\u0000' } }],
    ['/records', { shipments: [], record: { step: 'picked' } }],
    ['/plans', { shipments, fields: { window: [2, 1] } }],
    ['/plans', { shipments, fields: { driver: 'nobody' } }],
    ['/plans', { shipments, fields: { number: '' } }],
    ['/plans', { shipments, fields: { run: 'x\ny' } }],
    ['/plans', { filter: 'limit:-1', fields: { note: 'x' } }],
    ['/messages', { shipment: shipments[0], text: '' }],
    ['/measurements', { shipments, measure: { quantity: 't', value: 1e30, unit: 'C' } }],
    ['/retractions', { edit: '' }],
    ['/resolutions', { shipment: shipments[0], settle: ['00'], uphold: '00' }],
    ['/invites', { role: 'dispatcher', name: 'x'.repeat(1_000) }],
    ['/people', { name: 'a\n', role: 'viewer', pin: '4711' }],
    ['/people', { name: 'a', role: 'driver', pin: '4711' }],
    ['/people', { name: 'a', role: 'viewer', pin: '1' }],
    ['/workflows', { toml: 'x'.repeat(1 << 20) }],
    ['/workflows', { toml: '[['.repeat(10_000), check: true }],
    ['/imports', { orders: Array(1_001).fill({ number: 'x' }) }],
  ];
  const before = (await firm.hub.creel('history', shipments[0])).length;
  for (const [path, body] of tries) {
    const answer = await firm.hub.post(path, body);
    const what = `${path} ${JSON.stringify(body).slice(0, 80)}`;
    assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`);
    assert.ok((await answer.json()).error.length > 10, what);
  }
  assert.equal((await firm.hub.creel('history', shipments[0])).length, before, 'nothing was made of them');
});

test('nobody reaches what is not theirs', async () => {
  // A driver's device has only what is that driver's.
  const [foreign] = await firm.hub.creel('list', '--filter', 'driver:li-wei is:open limit:1');
  for (const more of ['', '/history', '/why', '/proof', '/automerge', '/verify', '/tracking']) {
    assert.equal((await driver.api(`/shipments/${foreign.id}${more}`)).status, 404, more);
  }
  assert.equal((await foreignPhoto).status, 404, 'not even by its hash');
  const record = { step: 'picked_up' };
  assert.equal((await driver.post('/records', { shipments: [foreign.id], record })).status, 404);
  assert.equal((await driver.post('/messages', { shipment: foreign.number, text: 'x' })).status, 404);
  const phone = await firm.page(driver, { width: 360, height: 740 });
  await phone.goto(at(driver, `s/${foreign.id}`));
  await phone.getByText(/there is no shipment/).waitFor();
  await quiet(phone);
  // Nor does it do what is the hub's, or another's to do.
  assert.ok([400, 403].includes((await driver.post('/invites', { role: 'admin', name: 'x' })).status));
  const [own] = await driver.creel('list', '--filter', 'is:open limit:1');
  assert.ok([400, 403].includes((await driver.post('/plans', { shipments: [own.id], fields: { driver: 'driver:li-wei' } })).status));
  const [edit] = (await driver.creel('history', own.id)).filter((row) => row.action === 'open');
  assert.ok([400, 403].includes((await driver.post('/retractions', { edit: edit.edit })).status));

  // A person who only looks at the hub's screens.
  const viewer = await firm.blank();
  await viewer.goto(`http://${firm.hub.http}/`);
  await viewer.getByRole('button', { name: 'Sun Yu' }).click();
  await viewer.getByLabel('PIN').fill('4711');
  await viewer.getByRole('button', { name: 'Log in' }).click();
  await viewer.getByRole('heading', { name: 'Figures' }).waitFor();
  await viewer.goto(at(firm.hub, `s/${foreign.id}`));
  await viewer.getByRole('heading', { name: 'Timeline' }).waitFor();
  assert.equal(await viewer.getByRole('region', { name: 'Next step' }).count(), 0);
  assert.equal(await viewer.getByLabel('Write a message').count(), 0);
  for (const path of Object.keys(api.paths).filter((one) => api.paths[one].post && !/\/(login|logout)$/.test(one))) {
    const answer = await viewer.request.post(`http://${firm.hub.http}${path}`, { headers: { 'idempotency-key': randomUUID() }, data: {} });
    assert.equal(answer.status(), 403, path);
  }
  await quiet(viewer);
});

/** A request exactly as it stands here; browsers and fetch would tidy it up. */
function raw(path, headers = {}, method = 'GET') {
  const [host, port] = firm.hub.http.split(':');
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, headers: { host: firm.hub.http, ...headers }, setHost: false }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, text: Buffer.concat(parts).toString('latin1') }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
const token = () => readFileSync(`${firm.hub.data}/api-token`, 'utf8').trim();

test('no path leads out of what is served', async () => {
  const paths = [
    '/..%2f..%2fetc/passwd', '/../../../../etc/passwd', '/%2e%2e/%2e%2e/%2e%2e/etc/passwd', '/assets/%00', '/assets/../../api-token', '/assets/..%2f..%2fapi-token',
    '/assets/..%5c..%5capi-token', '/assets/', '//etc/passwd', '/./api-token', '/api-token', '/t/..%2f..%2fapi-token', '/t/%00-00', '/index.html%00.js', '/%',
  ];
  for (const path of paths) {
    const { status, text } = await raw(path);
    assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    assert.doesNotMatch(text, /root:/, path);
    assert.ok(!text.includes(token()), path);
  }
  const authorization = `Bearer ${token()}`;
  for (const path of ['/api/v1/photos/..%2f..%2fapi-token', '/api/v1/shipments/%00', '/api/v1/shipments/..%2f..%2fapi-token/proof', '/api/v1/../../api-token']) {
    const { status, text } = await raw(path, { authorization });
    assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    assert.ok(!text.includes(token()), path);
  }
});

test('another site and another host get nothing, whatever they show', async () => {
  const authorization = `Bearer ${token()}`;
  const own = `http://${firm.hub.http}`;
  assert.equal((await raw('/api/v1/status', { authorization, origin: own })).status, 200);
  for (const host of ['elsewhere.example', `elsewhere.example:${firm.hub.http.split(':')[1]}`, `${firm.hub.http}.elsewhere.example`, '127.0.0.1:1', '']) {
    for (const path of ['/', '/api/v1/status', '/t/x-y', '/open?code=x']) assert.equal((await raw(path, { authorization, host })).status, 403, `${host} ${path}`);
  }
  for (const origin of ['http://elsewhere.example', 'null', own.replace('http:', 'https:'), 'http://127.0.0.1:1', `${own}.elsewhere.example`, 'file://']) {
    assert.equal((await raw('/api/v1/status', { authorization, origin })).status, 403, origin);
    assert.equal((await raw('/api/v1/logout', { authorization, origin }, 'POST')).status, 403, origin);
  }

  // The same from a real browser that is logged in: a page of another port posts a message in the person's name.
  const other = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>elsewhere</title>'));
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  const page = await firm.page(firm.hub);
  const elsewhere = await page.context().newPage();
  await elsewhere.goto(`http://127.0.0.1:${other.address().port}/`);
  const outcome = await elsewhere.evaluate(async ([url, body]) => {
    await fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body });
    return fetch(url.replace('messages', 'shipments'), { credentials: 'include' }).then(() => 'read', () => 'kept away');
  }, [`${own}/api/v1/messages`, JSON.stringify({ shipment: 'M20260601-0003', text: 'from elsewhere' })]);
  assert.equal(outcome, 'kept away');
  const said = await firm.hub.creel('history', 'M20260601-0003');
  assert.ok(!said.some((row) => row.action === 'say'), 'nobody said anything');
  await elsewhere.close();
  other.close();
});

test('of all that nothing came, and the node lives', async () => {
  assert.deepEqual(await firm.records(), earlier);
  const answer = await firm.hub.post('/records', { shipments: ['M20260601-0003'], record: { step: 'picked', note: 'as ever' } });
  assert.equal(answer.status, 200);
});
