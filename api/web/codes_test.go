package web

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

var codeRow = regexp.MustCompile(`(?m)^\s*\| ((?:BRO|FMD)-\d{5}) \| (\d{3}) \|`)

func TestContract_GivesEachCodeTheStatusThatItIsAnsweredWith(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	status := map[string]string{}
	for _, e := range models.Catalogue() {
		at, known := statuses[e.Kind]
		require.True(t, known, "the kind of %s has no status", e.Code)
		status[e.Code] = strconv.Itoa(at.status)
	}
	rows := codeRow.FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(rows), 100)
	for _, row := range rows {
		require.Equal(t, status[row[1]], row[2], "openapi.yaml says another status of %s", row[1])
	}
}
