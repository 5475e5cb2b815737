// Reads a JSON array of webhooks {headers, body, secrets, publicKeys} from standard input, verifies and parses each with
// libraries of others, and prints what it found as a JSON array.
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { HTTP } from 'cloudevents'
import { Webhook } from 'standardwebhooks'

const refused = (f) => {
  try {
    f()
    return ''
  } catch (e) {
    return String(e.message)
  }
}

// Standard Webhooks' v1a: Ed25519 over id, timestamp and body. The npm package knows v1 only, so Node's own crypto does it.
const asymmetric = (hook, publicKey) => {
  const raw = Buffer.from(publicKey.replace('whpk_', ''), 'base64')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
  const signed = Buffer.from(`${hook.headers['webhook-id']}.${hook.headers['webhook-timestamp']}.${hook.body}`)
  return hook.headers['webhook-signature'].split(' ').filter((s) => s.startsWith('v1a,')).
    some((s) => verify(null, signed, key, Buffer.from(s.slice(4), 'base64')))
}

const judge = (hook) => {
  const event = HTTP.toEvent({ headers: hook.headers, body: hook.body })
  return {
    symmetric: hook.secrets.map((secret) => refused(() => new Webhook(secret).verify(hook.body, hook.headers))),
    tampered: hook.secrets.map((secret) => refused(() => new Webhook(secret).verify(hook.body + ' ', hook.headers))),
    asymmetric: hook.publicKeys.map((key) => asymmetric(hook, key)),
    tamperedAsymmetric: hook.publicKeys.map((key) => asymmetric({ ...hook, body: hook.body + ' ' }, key)),
    valid: event.validate(), // throws when it breaks a rule of CloudEvents
    event: event.toJSON(),
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(judge)))
