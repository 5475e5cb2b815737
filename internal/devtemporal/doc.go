// Package devtemporal runs the Temporal of `formidling run` and `formidling demo`: the program devstack, which
// `make build` puts beside ours, as a child process.
//
// Start waits until Temporal answers and says where it and its UI are; Stop ends it, in good order if it lets itself be
// ended so. The child also watches its parent and ends when that is killed, so a kill -9 leaves nothing behind; who
// starts the next one at once is made to wait until the ports are free.
//
// Production has a Temporal of its own and never comes here. Tests start theirs with internal/testenv, because they
// kill it on purpose.
package devtemporal
