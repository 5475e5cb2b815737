package feed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestFeedQuery_AsksForRolesInTheDatabase(t *testing.T) {
	t.Parallel()
	sights := []models.Sight{{Resource: "tax-files", Role: models.RoleRecipient}}
	query, args := feedQuery("0192:310000035", 0, models.EventFilter{Sights: sights}, 1)
	require.Contains(t, query, "role = ?", "not page after page")
	require.Contains(t, args, models.RoleRecipient)
}
