// Uploads one file with tus-js-client, told by a JSON object in argv[2]:
//   file              path of the file
//   endpoint          where uploads are created, or
//   uploadUrl         an upload that exists already, to go on with
//   headers           of every request
//   chunkSize         bytes of one PATCH; absent: all that is left
//   parallelUploads   how many parts are sent at once; absent: one stream
//   deferred          true: the length is said with the last chunk (needs chunkSize)
//   stopAt            bytes after which the process ends at once, as if killed
// It prints one JSON object, {url, requests, retries}, and exits 0 when the server has said that it has all.
import fs from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const told = JSON.parse(process.argv[2])
let requests = 0
let retries = 0

// A client that gives up soon would hide nothing, but it would not be one that people use: this one is patient as long
// as the server takes bytes, because the delays begin anew with each that it took.
const retryDelays = [0, 50, 100, 200, 400, 800, 1600, 3200, 3200, 3200]

// of a file the client would find out the length
const file = fs.createReadStream(told.file)
const source = told.deferred ? file.pipe(new PassThrough()) : file

const upload = new tus.Upload(source, {
  endpoint: told.endpoint,
  uploadUrl: told.uploadUrl,
  headers: told.headers,
  chunkSize: told.chunkSize ?? Infinity,
  parallelUploads: told.parallelUploads ?? 1,
  uploadLengthDeferred: told.deferred ?? false,
  metadata: { filename: 'judged.bin' },
  retryDelays,
  onBeforeRequest: () => { requests++ },
  onShouldRetry: (err) => {
    const status = err.originalResponse ? err.originalResponse.getStatus() : 0
    const again = status < 400 || status >= 500 || status === 409 || status === 423
    if (again) retries++
    return again
  },
  onProgress: (sent) => { if (told.stopAt && sent >= told.stopAt) process.kill(process.pid, 'SIGKILL') },
  onUploadUrlAvailable: () => { if (told.stopAt) fs.writeSync(1, JSON.stringify({ url: upload.url }) + '\n') },
  onError: (err) => {
    console.error(String(err))
    process.exit(1)
  },
  onSuccess: () => {
    console.log(JSON.stringify({ url: upload.url, requests, retries }))
  },
})
upload.start()
