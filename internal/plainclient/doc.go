// Package plainclient is one organisation's system that talks HTTP to a broker as any program would, with nothing but
// the standard library: what the demo plays its parts with, and what tests of whole processes ask with.
//
// It knows the paths that it is given and how to log in, with an enterprise certificate on the connection or with a
// token. It retries nothing and resumes nothing, so a caller sees exactly what the broker answered. Programs of others
// use the package client instead.
package plainclient
