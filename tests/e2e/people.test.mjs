// Several people at one hub, by its API: each acts under their own name, within their role, and for as long as they are there.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Firm, eventually } from './firm.mjs';

let firm;
let numbers;
before(async () => {
  firm = await Firm.found();
  for (const [name, role] of [['Ann', 'dispatcher'], ['Bo', 'picker'], ['Vi', 'viewer']]) await firm.hub.post('/people', { name, role, pin: `${name}-4711` });
  numbers = (await firm.hub.creel('list', '--filter', 'is:open limit:6')).map((row) => row.number);
});
after(() => firm?.close());

/** Somebody who logged in. */
async function at(name) {
  const base = `http://${firm.hub.http}/api/v1`;
  const login = await fetch(`${base}/login`, { method: 'POST', body: JSON.stringify({ name, pin: `${name}-4711` }) });
  assert.equal(login.status, 200);
  const Cookie = login.headers.get('set-cookie').split(';')[0];
  const ask = (path, more = {}) => fetch(`${base}${path}`, { ...more, headers: { Cookie, ...more.headers } });
  const post = (path, body, headers = {}) =>
    ask(path, { method: 'POST', body: JSON.stringify(body), headers: { 'idempotency-key': randomUUID(), ...headers } });
  return { ask, post };
}

test('a key that was used for something else does nothing, and says so', async () => {
  const [ann, bo] = [await at('Ann'), await at('Bo')];
  const key = { 'idempotency-key': 'one' };
  const first = await ann.post('/messages', { shipment: numbers[0], text: 'hello' }, key);
  const again = await ann.post('/messages', { shipment: numbers[0], text: 'hello' }, key);
  assert.deepEqual(await again.json(), await first.json(), 'trying again is the same act');
  for (const other of [
    await ann.post('/messages', { shipment: numbers[0], text: 'another' }, key),
    await bo.post('/messages', { shipment: numbers[0], text: 'hello' }, key),
    await ann.post('/records', { shipments: [numbers[1]], record: { step: 'cancelled', reason: 'x' } }, key),
  ]) {
    assert.equal(other.status, 409);
    assert.match((await other.json()).error, /used for something else/);
  }
  assert.equal((await firm.hub.creel('history', numbers[1])).length, 1);
  const invite = (name) => firm.hub.api('/invites', {
    method: 'POST', headers: { 'idempotency-key': 'two', 'content-type': 'application/json' }, body: JSON.stringify({ name, role: 'driver', party: 'driver:x' }),
  });
  assert.equal((await invite('x')).status, 200);
  assert.equal((await invite('y')).status, 409);
});

test('who takes a record back recorded it, or is a dispatcher', async () => {
  const [ann, bo] = [await at('Ann'), await at('Bo')];
  const [{ edit }] = await (await ann.post('/records', { shipments: [numbers[2]], record: { step: 'cancelled', reason: 'they rang' } })).json();
  const refused = await bo.post('/retractions', { edit });
  assert.equal(refused.status, 403);
  assert.match((await refused.json()).error, /Ann recorded that/);
  assert.equal((await firm.hub.creel('show', numbers[2])).status, 'cancelled');
  const [own] = await (await bo.post('/records', { shipments: [numbers[3]], record: { step: 'picking_started' } })).json();
  assert.equal((await bo.post('/retractions', { edit: own.edit })).status, 200);
  assert.equal((await ann.post('/retractions', { edit })).status, 200);
});

test('each shipment\'s own workflow says whose step it is', async () => {
  const [published] = await (await firm.hub.api('/workflows')).json();
  const steps = published.steps.map((step) => (step.key === 'picked' ? { ...step, by: ['admin'] } : step));
  const { name, label } = published;
  assert.equal((await firm.hub.post('/workflows', { workflow: { name, label, step: steps } })).status, 200);
  const fields = { consignee: 'x', parties: { shop: 'shop:east-gate' } };
  const ann = await at('Ann');
  const taken = await ann.post('/imports', { orders: [{ number: 'NEW-1', row: 1, fields, lines: [] }] });
  assert.equal(taken.status, 200);
  assert.equal((await firm.hub.creel('history', 'NEW-1'))[0].by, 'Ann', 'an import names who made it');
  const bo = await at('Bo');
  const picked = (shipment) => bo.post('/records', { shipments: [shipment], record: { step: 'picked' } });
  const refused = await picked('NEW-1');
  assert.equal(refused.status, 403);
  assert.match((await refused.json()).error, /a picker does not record/);
  assert.equal((await picked(numbers[4])).status, 200);
});

test('a tab that shows somebody else does nothing', async () => {
  const bo = await at('Bo');
  const refused = await bo.post('/messages', { shipment: numbers[0], text: 'as Ann' }, { 'creel-person': 'Ann' });
  assert.equal(refused.status, 409);
  assert.match((await refused.json()).error, /Bo is logged in here now/);
  assert.equal((await bo.post('/messages', { shipment: numbers[0], text: 'as Bo' }, { 'creel-person': 'Bo' })).status, 200);
  assert.equal((await (await bo.ask('/status')).json()).person, 'Bo');
});

test('a session that has ended opens nothing, and is told nothing', async () => {
  const vi = await at('Vi');
  assert.equal((await vi.ask('/status')).status, 200);
  assert.equal((await vi.post('/logout', {})).status, 200);
  assert.equal((await vi.ask('/status')).status, 401, 'a copy of the cookie');

  const again = await at('Vi');
  const events = await again.ask('/events');
  let told = '';
  const reading = (async () => {
    for await (const part of events.body) told += Buffer.from(part).toString();
  })();
  await firm.hub.post('/messages', { shipment: numbers[0], text: 'before' });
  await eventually('an event', async () => told.includes('changed'));
  await firm.hub.post('/people/remove', { name: 'Vi' });
  // What was told before may still be on its way, so the next change is of another shipment.
  const { id } = await (await firm.hub.post('/messages', { shipment: numbers[5], text: 'after' })).json();
  await reading;
  assert.ok(!told.includes(id), 'a change was told to who had been removed');
});

test('too many shipments are refused before they are looked for', async () => {
  const bo = await at('Bo');
  const many = await bo.post('/records', { shipments: Array(10_001).fill('S'), record: { step: 'picked' } });
  assert.equal(many.status, 400);
  assert.match((await many.json()).error, /10001 shipments at once/);
  assert.equal((await bo.post('/records', { shipments: Array(200_000).fill('S12345'), record: { step: 'picked' } })).status, 400);
});

test('a name that nobody has is as slow to guess at as any', async () => {
  const login = (name) => fetch(`http://${firm.hub.http}/api/v1/login`, { method: 'POST', body: JSON.stringify({ name, pin: 'wrong-wrong' }) });
  const answers = [];
  for (let n = 0; n < 6; n += 1) answers.push((await login('Nobody')).status);
  assert.deepEqual(answers, [401, 401, 401, 401, 401, 429]);
});
