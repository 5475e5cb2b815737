package workflows

import (
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
)

// SearchAttributes names what Temporal must know before a transfer starts.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	out := map[string]enumspb.IndexedValueType{}
	for _, key := range []temporal.SearchAttributeKey{attributeSender, attributeResource, attributeStatus, attributeRecipients} {
		out[key.GetName()] = key.GetValueType()
	}
	return out
}

// transferAttributes are set when a transfer starts. The recipients of a big one stand on its groups.
func transferAttributes(s models.Submission) temporal.SearchAttributes {
	updates := []temporal.SearchAttributeUpdate{
		attributeSender.ValueSet(string(s.Sender.Party)),
		attributeResource.ValueSet(s.ResourceID),
		attributeStatus.ValueSet(models.TransferInitialized.String()),
	}
	if models.Groups(len(s.Recipients)) == 0 {
		updates = append(updates, attributeRecipients.ValueSet(numbers(s.Recipients)))
	}
	return temporal.NewSearchAttributes(updates...)
}

// summary is the line that the workflow list shows.
func summary(s models.Submission) string {
	if len(s.Recipients) == 1 {
		return fmt.Sprintf("%s: %s to %s", s.ResourceID, s.Sender.Party, s.Recipients[0].Party)
	}
	return fmt.Sprintf("%s: %s to %d recipients", s.ResourceID, s.Sender.Party, len(s.Recipients))
}
