// Verifies receipts, one on each line of standard input after the address of the key set, and prints what jose says of each.
import { compactVerify, createRemoteJWKSet } from 'jose'
import { readFileSync } from 'node:fs'

const [address, ...receipts] = readFileSync(0, 'utf8').split('\n').filter(Boolean)
const keys = createRemoteJWKSet(new URL(address))
for (const receipt of receipts) {
  try {
    const { payload, protectedHeader } = await compactVerify(receipt, keys, { algorithms: ['ES256'] })
    console.log(JSON.stringify({ typ: protectedHeader.typ, payload: JSON.parse(new TextDecoder().decode(payload)) }))
  } catch (e) {
    console.log(JSON.stringify({ refused: e.code ?? String(e) }))
  }
}
