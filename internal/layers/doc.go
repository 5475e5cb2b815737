// Package layers says which package may import which, once: Rooms is the table, and a room is one package. It owns
// the table and what is rendered from it, the rules of depguard in .golangci.yml and the table in
// docs/architecture.md; its tests fail when one of them is not what the table gives.
//
// A room imports only rooms above it in the table, so that no circle can be written down, and foreign modules only
// as far as it names them. A package without a room fails a test, and so does a foreign module that a room names and does not need.
//
// The program in plant (make layers) writes each import that the table forbids into a copy of the tree and wants a
// complaint for each: a linter that is configured wrongly is silent, and silence looks like order.
//
// The house rules that no linter knows (lengths, folders, package comments, sleeping tests) are tests here too.
package layers
