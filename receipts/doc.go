// Package receipts signs receipts, keeps the public log of them, and verifies both without asking anybody.
//
// A transfer's receipts are one chain: each is a compact JWS (ES256, typ receipt+jws) whose payload is a models.Receipt
// with its place in the chain and the hash of the receipt before it. All receipts, and the heads of the registry's
// audit, are leaves of one append-only Merkle tree (RFC 6962) whose size and root are signed as a checkpoint.
//
//	transaction ── writes ──▶ entry (seq fixed) ── Issuer.Issue signs, in order ──▶ receipt ── Log.Seal ──▶ leaf ──▶ checkpoint
//
// keys.go has the keys, jws.go the format, issuer.go and log.go the two writers, bundle.go and verify.go what a party
// keeps and checks. The ports are declared where they are used; cmd/formidling connects them.
package receipts
