package objects

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// The reserve is kept on Linux only, as its documentation says.
func TestLocal_ReserveStaysFree(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	l.reserve = 1 << 60
	_, err := l.Put(t.Context(), "ft/a/b", newPattern(10), noLimit)
	require.ErrorIs(t, err, models.ErrStorageFull)
	gone(t, b, "ft/a/b")
	require.ErrorIs(t, l.Ready(t.Context()), models.ErrStorageFull)
}
