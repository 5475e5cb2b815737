// Package cli is the client's half of the program formidling: send, receive, inbox and status for the parties of a
// transfer, token for who logs in, and receipt to check receipts and to sign for content.
//
// It talks to brokers through the package client alone, never to a database or to Temporal, and promises two things to
// scripts: its exit codes (exit.go) and its JSON documents. docs/cli.md describes both and is checked against them.
// What is needed to go on after kill -9 lies in a small file per send (send_state.go).
//
// New gives main the commands, ExitCode and Complain say how a process ends; settings.go is the table of settings.
// main passes the environment on, because a client refuses misspelt settings of the server too.
package cli
