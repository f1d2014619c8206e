// automerge-repo as a peer: one Automerge document for each order, WebSocket adapters, files by its nodefs adapter.
// The disk is not synced.
//
// Of the two only one announces at a time, or everything would be said twice. For the first sync it is the driver, which asks
// for what it does not hold; later it is the hub: its first word is then one flight earlier, and a live edit takes one flight,
// not three.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Repo } from '@automerge/automerge-repo'
import { WebSocketClientAdapter, WebSocketServerAdapter } from '@automerge/automerge-repo-network-websocket'
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs'
import { WebSocketServer } from 'ws'
import { held, obey, orders, records, role, seen } from './lines.js'

// The bench tells when to connect; a keep-alive would only break its silence.
const NEVER_MS = 2 ** 30

mkdirSync(role.folder, { recursive: true })
let connections = 0
const repo = new Repo({
  peerId: role.side,
  storage: new NodeFSStorageAdapter(role.folder),
  shareConfig: { announce: async () => (connections > 1) === (role.side === 'hub'), access: async () => true },
})
const handles = []
let adapter

function keep(index, handle) {
  handles[index] = handle
  handle.on('change', ({ doc }) => seen(index, doc.records.length))
}

/// Documents that are asked for while no peer is known are taken for unavailable, so it is given time to find its hub.
const found = () => new Promise((done) => repo.networkSubsystem.once('peer', done))

await obey({
  serve() {
    const [host, port] = role.hub.split(':')
    const server = new WebSocketServer({ host, port: Number(port) })
    server.on('connection', () => (connections += 1))
    repo.networkSubsystem.addNetworkAdapter(new WebSocketServerAdapter(server, NEVER_MS))
    return new Promise((done) => server.once('listening', done))
  },
  async load() {
    orders().forEach((order, index) => keep(index, repo.create({ ...order, records: [] })))
    await repo.flush()
    writeFileSync(role.shared, JSON.stringify(handles.map((handle) => handle.url)))
  },
  async connect() {
    connections += 1
    const peer = found()
    adapter = new WebSocketClientAdapter(`ws://${role.hub}`, NEVER_MS)
    repo.networkSubsystem.addNetworkAdapter(adapter)
    if (handles.length > 0) return
    await peer
    const urls = JSON.parse(readFileSync(role.shared, 'utf8'))
    await Promise.all(
      urls.map(async (url, index) => {
        keep(index, await repo.find(url))
        held()
      }),
    )
  },
  disconnect() {
    if (adapter) repo.networkSubsystem.removeNetworkAdapter(adapter)
    adapter = undefined
  },
  async edit({ documents, times }) {
    for (const index of documents) {
      for (const record of records(times)) handles[index].change((doc) => doc.records.push(record))
    }
    await repo.flush(documents.map((index) => handles[index].documentId))
  },
})
