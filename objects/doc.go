// Package objects keeps the bytes of transfers: one small port, Store, over the local disk and
// Google Cloud Storage. It is the only importer of cloud.google.com.
//
// An object is absent or whole and never changes once it is visible. That is all the rest of the
// broker relies on, and the conformance suite holds every store to it:
//
//	            Put reads, hashes, writes                      durable, one winner per key
//	absent ───────────────────────────────▶ (nobody sees it) ─────────────────────────────▶ visible
//	   ▲                                          │                                            │
//	   └───────── failure, cancellation, crash ───┘                                            │
//	   └───────────────────────────────── DeleteAll ◀──────────────────────────────────────────┘
//
// Keys are unique per upload attempt and never reused (ft/<transfer>/<attempt>), so publishing a
// file is a row in the database that names its Content, not a rename here.
//
// # Local disk
//
// Put writes a file without a name (O_TMPFILE), starts its write-back in windows of 32 MiB while it
// still receives, flushes it, and links it under its key, which fails if the key exists. A crash
// leaves nothing behind. Where the file system has no such files, a named one beside the object
// serves; DeleteAll of the object or of its prefix collects it after a crash. The generation of a file is its
// modification time in nanoseconds, set by Put to a value it has not used before; unlike an inode
// number it survives a backup and its restore.
//
// # Cloud Storage
//
// Bodies up to 64 MiB become one object in one request. Longer ones are sent as segments of 16 MiB
// in parallel and composed; segments live under key/<random>/ until then. Every create asks for
// absence and carries its CRC32C and a random mark, so a repeated request whose first answer was
// lost is distinguished from a key that somebody else holds. The bucket must have no retention policy and no
// default event-based hold (segments could not be deleted). A lifecycle rule may delete what is
// older than the longest transfer; nothing here needs it.
//
// One window stays open there: a create that was sent whole, but whose answer and clean-up both
// were lost to an outage, may become visible after Put has failed. The key is never reused, and
// DeleteAll of the prefix, which follows every failed attempt, removes it.
//
// # Memory
//
// Each Put holds at most 4 MiB for reading and hashing. Cloud Storage adds segment buffers from one
// pool for all uploads (Options.PoolBytes); an upload takes a buffer before it reads what goes into
// it, and never waits for one while it holds another that is not being sent. A download from Cloud
// Storage holds three blocks of 256 KiB, however slow its reader is.
package objects
