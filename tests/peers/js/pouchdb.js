// PouchDB as a peer: one document for each order in LevelDB, the hub behind express-pouchdb, live replication both ways.
// The disk is not synced.

import { mkdirSync } from 'node:fs'
import { Agent } from 'node:http'
import { createRequire } from 'node:module'
import { held, obey, orders, records, role, seen } from './lines.js'

const require = createRequire(import.meta.url)
const PouchDB = require('pouchdb-node')

// Documents in one request; the default of 100 would cost a first sync many round trips.
const BATCH = 1_000

mkdirSync(role.folder, { recursive: true })
const Local = PouchDB.defaults({ prefix: role.folder + '/' })
const store = new Local('orders')
const known = new Set()
let replication
let agent

store.changes({ since: 'now', live: true, include_docs: true }).on('change', ({ doc }) => {
  const index = Number(doc._id)
  if (!known.has(index)) {
    known.add(index)
    held()
  }
  seen(index, doc.records.length)
})

await obey({
  serve() {
    const express = require('express')
    const wrapped = require('express-pouchdb')(Local, {
      mode: 'minimumForPouchDB',
      inMemoryConfig: true,
      logPath: role.folder + '/http.log',
    })
    const [host, port] = role.hub.split(':')
    return new Promise((done) => express().use('/', wrapped).listen(Number(port), host, done))
  },
  async load() {
    const documents = orders().map((order, index) => ({ _id: String(index), ...order, records: [] }))
    while (documents.length > 0) await store.bulkDocs(documents.splice(0, BATCH))
  },
  connect() {
    // One connection is used again for the next request, and a fresh one made after the road was cut.
    agent = new Agent({ keepAlive: true })
    const fetch = (url, options) => PouchDB.fetch(url, { ...options, agent })
    const remote = new PouchDB(`http://${role.hub}/orders`, { skip_setup: true, fetch })
    replication = store.sync(remote, { live: true, retry: true, batch_size: BATCH })
    replication.on('error', (error) => console.error(error))
  },
  async disconnect() {
    if (!replication) return
    const ended = new Promise((done) => replication.once('complete', done))
    replication.cancel()
    await Promise.race([ended, new Promise((done) => setTimeout(done, 1_000))])
    agent.destroy()
  },
  async edit({ documents, times }) {
    for (const index of documents) {
      for (const record of records(times)) {
        const document = await store.get(String(index))
        document.records.push(record)
        await store.put(document)
      }
    }
  },
})
