// The lines a peer reads and writes, as src/lines.rs tells them: one JSON object each, and one answer for each command.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

// The two steps records tell of, in turn, and the small text each carries: as in src/orders.rs.
const STEPS = ['picked_up', 'in_transit']
const NOTE = 'seen at the warehouse gate, all boxes dry'

const parsed = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['folder', 'hub', 'orders', 'shared', 'program'].map((name) => [name, { type: 'string' }])),
})

/// Which side this peer is, and where its things lie.
export const role = { side: parsed.positionals[0], ...parsed.values }

/// Nanoseconds of the machine's monotonic clock. A number holds them for a hundred days after the machine's start.
const now = () => Number(process.hrtime.bigint())

const say = (said) => process.stdout.write(JSON.stringify(said) + '\n')

/// A document has so many records now.
export const seen = (index, records) => say({ seen: index, records, at: now() })

let asked = Infinity
let count = 0

/// The driver holds one document more than before.
export function held() {
  count += 1
  if (count === asked) say({ held: count, at: now() })
}

/// The orders, in the order of their indexes.
export const orders = () => readFileSync(role.orders, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))

/// The records that one edit command adds, each a change of its own.
export const records = (times) =>
  Array.from({ length: times }, (_, turn) => ({ step: STEPS[turn % STEPS.length], time: Date.now(), note: NOTE }))

/// Does what it is told, one command after the other, until it is told to stop or its input ends.
export async function obey(peer) {
  say({ pid: process.pid })
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    if (command.do === 'stop') break
    if (command.do === 'held') asked = command.count
    try {
      // What a system has no use for is done by doing nothing.
      await peer[command.do]?.(command)
      say({ did: command.do, at: now() })
    } catch (error) {
      say({ failed: `${command.do}: ${error.stack ?? error}` })
    }
  }
  process.exit(0)
}
