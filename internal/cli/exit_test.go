package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/client"
)

// Scripts rely on these numbers.
func TestExitCode_IsTheOneThatIsPromised(t *testing.T) {
	t.Parallel()
	of := func(err error) error { return &commandError{err: fmt.Errorf("send: %w", err)} }
	for name, tc := range map[string]struct {
		err  error
		code int
	}{
		"a mistake in the call":        {usageError{errors.New("x")}, 2},
		"not let in":                   {of(client.ErrUnauthorized), 3},
		"not proven":                   {fmt.Errorf("verify: %w", errUnproven), 3},
		"not there":                    {of(client.ErrNotFound), 4},
		"refused":                      {of(client.ErrRefused), 5},
		"out of reach":                 {of(client.ErrUnavailable), 6},
		"other bytes":                  {of(client.ErrChecksum), 7},
		"at its end":                   {of(client.ErrEnded), 8},
		"of two kinds":                 {of(errors.Join(client.ErrRefused, client.ErrChecksum)), 7},
		"interrupted":                  {&commandError{err: context.Canceled, interrupted: true}, 130},
		"cancelled by something else":  {&commandError{err: context.Canceled}, 1},
		"anything else":                {of(errors.New("disk full")), 1},
		"another command, the same":    {fmt.Errorf("buy token: %w", client.ErrUnauthorized), 1},
		"another command, interrupted": {context.Canceled, 1},
	} {
		require.Equal(t, tc.code, ExitCode(tc.err), name)
	}
	promised := map[int]bool{}
	for _, e := range exitMeanings {
		promised[e.code] = true
	}
	for _, kind := range exitKinds {
		require.True(t, promised[kind.code], "%v has a code that docs/cli.md names", kind.of)
	}
}
