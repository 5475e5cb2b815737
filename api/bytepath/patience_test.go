package bytepath

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// connection is a response writer that notes the deadline of its reads.
type connection struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error { c.deadline = t; return nil }

// When the deadline of the last read rang during the commit, net/http took the client for gone.
func TestUpload_HasAsLongAsItTakesOnceTheBodyIsIn(t *testing.T) {
	t.Parallel()
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	body := &patientBody{body: strings.NewReader("x"), connect: http.NewResponseController(c)}
	_, err := body.Read(make([]byte, 1))
	require.NoError(t, err)
	require.False(t, c.deadline.IsZero())
	_, err = body.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.True(t, c.deadline.IsZero())
}
