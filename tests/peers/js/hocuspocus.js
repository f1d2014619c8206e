// Hocuspocus as a peer: one Yjs document for each order, all of them on one WebSocket, the hub's files by its database
// extension. Yjs brings no store for a driver that is no browser: its documents are written to plain files on each change.
// The disk is not synced.

import { mkdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Database } from '@hocuspocus/extension-database'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Server } from '@hocuspocus/server'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { held, obey, orders, records, role, seen } from './lines.js'

const MANY = 2 ** 30

mkdirSync(role.folder, { recursive: true })
const file = (name) => `${role.folder}/${name}.yjs`
const providers = []
let server
let socket

/// Puts an order's fields into a document, its lines and records as shared types.
function fill(document, order) {
  const fields = document.getMap('order')
  for (const [key, value] of Object.entries(order)) if (key !== 'lines') fields.set(key, value)
  document.getArray('lines').push(order.lines.map((line) => new Y.Map(Object.entries(line))))
}

function edit(document, times) {
  for (const record of records(times)) document.getArray('records').push([new Y.Map(Object.entries(record))])
}

const length = (document) => document.getArray('records').length

/// Opens all documents on the socket that is there.
function open(count) {
  for (let index = 0; index < count; index += 1) {
    const document = new Y.Doc()
    document.on('update', () => {
      seen(index, length(document))
      writeFile(file(index), Y.encodeStateAsUpdate(document)).catch((error) => console.error(error))
    })
    const provider = new HocuspocusProvider({
      name: String(index),
      document,
      websocketProvider: socket,
      awareness: null,
      token: 'bench',
    })
    provider.attach()
    let fresh = true
    provider.on('synced', () => {
      if (fresh) held()
      fresh = false
    })
    providers[index] = provider
  }
}

await obey({
  serve() {
    const [address, port] = role.hub.split(':')
    server = new Server({
      address,
      port: Number(port),
      quiet: true,
      stopOnSignals: false,
      // A driver opens all of its documents at once.
      maxPendingDocuments: MANY,
      maxUnauthenticatedQueueSize: MANY,
      maxUnauthenticatedQueueMessages: MANY,
      timeout: MANY,
      // Batched broadcasts would send each document that is loaded to the very driver that opens it.
      flushDelay: false,
      extensions: [
        new Database({
          fetch: ({ documentName }) => readFile(file(documentName)).catch(() => null),
          store: ({ documentName, state }) => writeFile(file(documentName), state),
        }),
      ],
      async onChange({ documentName, document }) {
        seen(Number(documentName), length(document))
      },
    })
    return server.listen()
  },
  async load() {
    for (const [index, order] of orders().entries()) {
      const document = new Y.Doc()
      fill(document, order)
      await writeFile(file(index), Y.encodeStateAsUpdate(document))
    }
  },
  connect() {
    if (socket) return socket.connect()
    socket = new HocuspocusProviderWebsocket({
      url: `ws://${role.hub}`,
      WebSocketPolyfill: WebSocket,
      // Without awareness a quiet socket would be taken for a dead one.
      messageReconnectTimeout: MANY,
    })
    open(orders().length)
  },
  disconnect: () => socket?.disconnect(),
  async edit({ documents, times }) {
    for (const index of documents) {
      if (role.side === 'driver') {
        edit(providers[index].document, times)
        continue
      }
      const direct = await server.hocuspocus.openDirectConnection(String(index))
      await direct.transact((document) => edit(document, times))
      await direct.disconnect()
    }
  },
})
